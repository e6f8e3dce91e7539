import type { Transport } from "@connectrpc/connect";
import { typed } from "./error.js";
import { linked } from "./linked.js";
import { isOfRunners } from "./of-runners.js";

/** The time limit of a call without one of its own, in milliseconds. */
const TIMEOUT_MS = 30_000;

/**
 * The same transport with what cannot be had by an interceptor: a time limit for calls, but not
 * for streams and those of runners; typed errors, that of the limit too; and that all ends with
 * `closing`.
 */
export function guarded(inner: Transport, closing: AbortSignal): Transport {
  return {
    async unary(method, signal, timeoutMs, ...rest) {
      const call = linked(signal, closing);
      const limitMs = timeoutMs ?? (isOfRunners(method.parent) ? undefined : TIMEOUT_MS);
      try {
        call.signal.throwIfAborted(); // Or else it would connect first.
        return await inner.unary(method, call.signal, limitMs, ...rest);
      } catch (error) {
        throw typed(error, call.signal);
      } finally {
        call.abort();
      }
    },
    async stream(method, signal, ...rest) {
      const call = linked(signal, closing);
      try {
        call.signal.throwIfAborted();
        const response = await inner.stream(method, call.signal, ...rest);
        return { ...response, message: guardedMessages(response.message, call) };
      } catch (error) {
        const told = typed(error, call.signal);
        call.abort();
        throw told;
      }
    },
  };
}

async function* guardedMessages<T>(messages: AsyncIterable<T>, call: AbortController) {
  try {
    yield* messages;
  } catch (error) {
    throw typed(error, call.signal);
  } finally {
    call.abort();
  }
}
