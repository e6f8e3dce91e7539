const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/**
 * Pauses of 100 ms doubled up to 5 s, each shortened by up to a half at random, so that clients
 * that lost the same service do not all reconnect at the same time.
 */
export class Backoff {
  #nextMs = FIRST_MS;

  /** The next pause, in milliseconds; longer if the service requests that. */
  next(askedMs = 0): number {
    const pauseMs = this.#nextMs;
    this.#nextMs = Math.min(pauseMs * 2, LONGEST_MS);
    return Math.max(askedMs, pauseMs * (1 - Math.random() / 2));
  }

  /** Starts over, after a success. */
  reset(): void {
    this.#nextMs = FIRST_MS;
  }
}
