import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { Backoff } from "../backoff.js";
import type { Clock } from "../clock.js";
import { PipewrightError } from "../error.js";
import { isOfRunners } from "../of-runners.js";

/** The number of tries of a call while the service is unavailable. */
export const TRIES = 5;

/**
 * Retries a call that failed with UNAVAILABLE, within the time limit of the call, which its signal
 * enforces. Streams are not retried here: resume.ts reopens them.
 */
export function retry(clock: Clock): Interceptor {
  return (next) => async (request) => {
    const backoff = new Backoff();
    for (let tries = 1; ; tries++) {
      let askedMs: number | undefined;
      try {
        return await next(request);
      } catch (error) {
        const isPassing = error instanceof ConnectError && error.code === Code.Unavailable;
        if (request.stream || isOfRunners(request.service) || !isPassing || tries === TRIES) {
          throw error;
        }
        askedMs = PipewrightError.from(error).retryDelayMs;
      }
      await clock.sleep(backoff.next(askedMs), request.signal);
    }
  };
}
