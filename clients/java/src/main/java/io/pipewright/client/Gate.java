package io.pipewright.client;

import java.util.function.LongSupplier;

/**
 * The pause between two attempts to connect, one for all calls and streams of a client: each of
 * them has pauses of its own, and a hundred would still attempt it all the time.
 */
final class Gate {
  private final Pauses pauses;
  private final LongSupplier clock;
  private final Backoff backoff;
  private boolean hasAttempted;
  private long attempted;
  private long pause;

  /**
   * Lets the first one pass.
   *
   * @param clock gives nanoseconds since some point in time
   */
  Gate(Pauses pauses, LongSupplier clock) {
    this.pauses = pauses;
    this.clock = clock;
    this.backoff = pauses.begin();
  }

  /** Nothing for who is to connect now; for others how many nanoseconds to wait and ask again. */
  synchronized long enter() {
    long now = clock.getAsLong();
    long left = attempted + pause - now;
    if (hasAttempted && left > 0) {
      return left;
    }
    hasAttempted = true;
    attempted = now;
    pause = backoff.next().toNanos();
    return 0;
  }

  /** The connection has worked: starts over. It may break at once, so the least pause stays. */
  synchronized void reset() {
    backoff.reset();
    pause = Math.min(pause, pauses.first().toNanos());
  }
}
