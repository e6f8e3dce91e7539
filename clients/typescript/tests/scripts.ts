import { once } from "node:events";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";

/** The response of a streaming call: messages, then OK, or the error that it throws. */
export type Script<O> = (context: HandlerContext) => AsyncIterable<O> | Iterable<O>;

/**
 * A streaming method that plays one script for each call, in order, and records the requests.
 * Later calls fail with UNIMPLEMENTED, which is final.
 */
export function scripted<I extends Message, O>(...scripts: Script<O>[]) {
  const requests: I[] = [];
  async function* play(request: I, context: HandlerContext): AsyncGenerator<O> {
    const script = scripts[requests.length];
    requests.push(request);
    if (!script) {
      throw new ConnectError("the script is over", Code.Unimplemented);
    }
    yield* script(context);
  }
  return { play, requests };
}

/** Sends the messages, and ends with OK. */
export function sending<O>(...messages: O[]): Script<O> {
  return () => messages;
}

/** Sends the messages, and fails. */
export function breaking<O>(code: Code, ...messages: O[]): Script<O> {
  return function* () {
    yield* messages;
    throw new ConnectError("said so", code);
  };
}

/** Sends the messages, and then nothing. */
export function hanging<O>(...messages: O[]): Script<O> {
  return silent(...messages).script;
}

/** Sends the messages, and then nothing; `reached` resolves after the last one. */
export function silent<O>(...messages: O[]): { script: Script<O>; reached: Promise<void> } {
  let reach = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  return {
    script: async function* (context) {
      yield* messages;
      reach();
      await cancelled(context);
    },
    reached,
  };
}

/** Resolves when the call is cancelled. */
export async function cancelled({ signal }: HandlerContext): Promise<void> {
  if (!signal.aborted) {
    await once(signal, "abort");
  }
}
