import type { Transport } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import { checkedRequest, checkedTimeout } from "./arguments.js";
import { typed } from "./error.js";
import { linked } from "./linked.js";
import { isOfRunners } from "./of-runners.js";

/** The time limit of a call without one of its own, in milliseconds. */
const TIMEOUT_MS = 30_000;

/**
 * The same transport with features that an interceptor cannot add: a time limit for calls, but
 * not for streams and those of runners; typed errors, including that of the limit; an end of
 * everything with `closing`; and a TypeError for invalid arguments before anything is sent.
 */
export function guarded(inner: Transport, closing: AbortSignal): Transport {
  return {
    async unary(method, signal, timeoutMs, header, message, ...rest) {
      const ownMs = isOfRunners(method.parent) ? undefined : TIMEOUT_MS;
      const limitMs = limitOf(timeoutMs) ?? ownMs;
      const request = checkedRequest(method.input, message);
      const call = linked(signal, closing);
      try {
        call.signal.throwIfAborted(); // Otherwise it would connect first.
        return await inner.unary(method, call.signal, limitMs, header, request, ...rest);
      } catch (error) {
        throw typed(error, call.signal);
      } finally {
        call.abort();
      }
    },
    async stream(method, signal, timeoutMs, header, messages, ...rest) {
      const limitMs = limitOf(timeoutMs);
      const requests: (typeof messages extends AsyncIterable<infer M> ? M : never)[] = [];
      for await (const message of messages) {
        requests.push(checkedRequest(method.input, message)); // Only one: no client streams.
      }
      const input = createAsyncIterable(requests);
      const call = linked(signal, closing);
      try {
        call.signal.throwIfAborted();
        const response = await inner.stream(method, call.signal, limitMs, header, input, ...rest);
        return { ...response, message: guardedMessages(response.message, call) };
      } catch (error) {
        const told = typed(error, call.signal);
        call.abort();
        throw told;
      }
    },
  };
}

function limitOf(timeoutMs: number | undefined): number | undefined {
  return timeoutMs === undefined ? undefined : checkedTimeout(timeoutMs);
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
