package io.pipewright.client;

import java.util.function.LongSupplier;

/**
 * The pause between two attempts to connect, shared by all calls and streams of a client: each of
 * them has pauses of its own, but a hundred of them would still connect all the time.
 */
final class Gate {
  private final Pauses pauses;
  private final LongSupplier clock;
  private final Backoff backoff;
  private boolean hasAttempted;
  private long attempted;
  private long pause;

  /**
   * Allows the first attempt.
   *
   * @param clock returns nanoseconds since some point in time
   */
  Gate(Pauses pauses, LongSupplier clock) {
    this.pauses = pauses;
    this.clock = clock;
    this.backoff = pauses.begin();
  }

  /** 0 if the caller should connect now; otherwise the nanoseconds to wait before asking again. */
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

  /** The connection has worked: starts over. It may break again, so the shortest pause stays. */
  synchronized void reset() {
    backoff.reset();
    pause = Math.min(pause, pauses.first().toNanos());
  }
}
