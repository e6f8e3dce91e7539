import { Code, ConnectError } from "@connectrpc/connect";
import { Backoff } from "./backoff.js";
import type { Clock } from "./clock.js";
import { PipewrightError, typed } from "./error.js";
import { linked } from "./linked.js";

/** The number of failed tries to open a stream before its error is thrown. */
const FIRST_TRIES = 5;

const FINAL: ReadonlySet<Code> = new Set([
  Code.NotFound,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.InvalidArgument,
  Code.Unimplemented,
]);

/** A stream that can be reopened at the position that was reached. */
export interface Source<Message, Item> {
  /** How long the service may be silent, in milliseconds. */
  readonly silenceMs: number;
  /** Whether everything was accepted. */
  readonly isOver: boolean;
  /** Codes that are final besides those that always are. */
  readonly finalCodes: readonly Code[];
  /** Opens the stream. */
  open(signal: AbortSignal): AsyncIterable<Message>;
  /**
   * Processes a message, and yields its new items.
   *
   * @throws PipewrightError if something before it is missing.
   */
  accept(message: Message): Iterable<Item>;
  /**
   * Returns the remaining items once the stream has ended with OK.
   *
   * @throws PipewrightError if it should not have ended yet.
   */
  finish(signal: AbortSignal): Promise<Item[]>;
}

/** Yields all items of a source, over as many streams as necessary, until it is over. */
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
      // Aborted however this try ends: leaving the loop ends the call immediately.
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
  // Any other error is a bug of the caller, or of this program.
  return (
    error instanceof PipewrightError &&
    !FINAL.has(error.code) &&
    !source.finalCodes.includes(error.code)
  );
}

/** The messages of the stream, until it is silent for too long. */
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
      () => {}, // A message arrived first.
    );
    const result = await messages.next().finally(() => waiting.abort());
    if (result.done) {
      return;
    }
    yield result.value;
  }
}

/** The error of a stream with missing items; it is reopened. */
export function missing(what: string): PipewrightError {
  return new PipewrightError(new ConnectError(what, Code.Unavailable));
}
