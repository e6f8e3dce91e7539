/** Lets time pass; tests have one that does so when they say. */
export interface Clock {
  /** Resolves after so many milliseconds, or rejects with the signal's reason. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Milliseconds since a time in the past. */
  now(): number;
}

/** What setTimeout() takes, 24 days; it takes more for 1 ms. */
const LONGEST_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(
        () => {
          signal.removeEventListener("abort", stop);
          resolve();
        },
        Math.min(ms, LONGEST_MS),
      );
      signal.addEventListener("abort", stop, { once: true });
    }),
  now: () => performance.now(),
};
