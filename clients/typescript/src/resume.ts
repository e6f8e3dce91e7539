import { Code, ConnectError } from "@connectrpc/connect";
import { Backoff } from "./backoff.js";
import type { Clock } from "./clock.js";
import { PipewrightError, typed } from "./error.js";
import { linked } from "./linked.js";

/** How often a stream is opened in vain before its error is the caller's. */
const FIRST_TRIES = 5;

const FINAL: ReadonlySet<Code> = new Set([
  Code.NotFound,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.InvalidArgument,
  Code.Unimplemented,
]);

/** A stream that can be opened again at the place that was reached. */
export interface Source<Message, Item> {
  /** How long the service may say nothing, in milliseconds. */
  readonly silenceMs: number;
  /** Whether all that there is was accepted. */
  readonly isOver: boolean;
  /** Codes that are final besides those that always are. */
  readonly finalCodes: readonly Code[];
  /** Opens the stream. */
  open(signal: AbortSignal): AsyncIterable<Message>;
  /**
   * Takes in a message, and gives out what is new in it.
   *
   * @throws PipewrightError if what came before it is missing.
   */
  accept(message: Message): Iterable<Item>;
  /**
   * Gives out what is left once the stream has ended with OK.
   *
   * @throws PipewrightError if it should not have ended yet.
   */
  finish(signal: AbortSignal): Promise<Item[]>;
}

/** Gives out all of a source, over as many streams as it takes, until it is over. */
export async function* resume<Message, Item>(
  source: Source<Message, Item>,
  clock: Clock,
  ...signals: (AbortSignal | undefined)[]
): AsyncGenerator<Item, void, undefined> {
  const stop = linked(...signals);
  const backoff = new Backoff();
  let triesLeft = FIRST_TRIES;
  try {
    for (;;) {
      // Aborted whichever way this try ends: leaving the loop ends the call at once.
      const call = linked(stop.signal);
      let askedMs: number | undefined;
      try {
        for await (const message of audible(source, call, clock)) {
          triesLeft = Number.POSITIVE_INFINITY;
          backoff.reset();
          yield* source.accept(message);
          if (source.isOver) {
            return;
          }
        }
        yield* await source.finish(call.signal);
        return;
      } catch (error) {
        triesLeft--;
        if (stop.signal.aborted || triesLeft === 0 || !canResume(error, source)) {
          throw error;
        }
        askedMs = error.retryDelayMs;
      } finally {
        call.abort();
      }
      await clock.sleep(backoff.next(askedMs), stop.signal);
    }
  } catch (error) {
    throw stop.signal.aborted ? typed(error, stop.signal) : error;
  } finally {
    stop.abort();
  }
}

function canResume(error: unknown, source: Source<unknown, unknown>): error is PipewrightError {
  // Whatever else is thrown is a mistake of the caller, or in this program.
  return (
    error instanceof PipewrightError &&
    !FINAL.has(error.code) &&
    !source.finalCodes.includes(error.code)
  );
}

/** The messages of the stream, until nothing has been heard for too long. */
async function* audible<Message>(
  source: Source<Message, unknown>,
  call: AbortController,
  clock: Clock,
): AsyncGenerator<Message, void> {
  const messages = source.open(call.signal)[Symbol.asyncIterator]();
  for (;;) {
    const waiting = new AbortController();
    clock.sleep(source.silenceMs, waiting.signal).then(
      () => call.abort(new ConnectError("the service has gone silent", Code.Unavailable)),
      () => {}, // A message came first.
    );
    const result = await messages.next().finally(() => waiting.abort());
    if (result.done) {
      return;
    }
    yield result.value;
  }
}

/** The error of a stream on which something is missing, to be opened anew. */
export function missing(what: string): PipewrightError {
  return new PipewrightError(new ConnectError(what, Code.Unavailable));
}
