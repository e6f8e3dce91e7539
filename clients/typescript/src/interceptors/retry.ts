import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { Backoff } from "../backoff.js";
import type { Clock } from "../clock.js";
import { PipewrightError } from "../error.js";
import { isOfRunners } from "../of-runners.js";

/** How often a call is made while the service is unavailable. */
export const TRIES = 5;

/**
 * Makes a call again that failed with UNAVAILABLE, within the time limit of the call, which its
 * signal keeps. Streams are not: what resumes them knows better.
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
