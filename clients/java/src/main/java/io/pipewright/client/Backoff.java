package io.pipewright.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Pauses that double up to a bound, each shortened by up to a half at random, so that clients that
 * lost the same service do not return as one.
 */
final class Backoff {
  static final Duration FIRST = Duration.ofMillis(100);
  static final Duration LONGEST = Duration.ofSeconds(5);

  private final long first;
  private final long longest;
  private long next;

  Backoff(Duration first, Duration longest) {
    this.first = first.toNanos();
    this.longest = longest.toNanos();
    this.next = this.first;
  }

  /** The next pause. */
  Duration next() {
    long pause = next;
    next = Math.min(2 * pause, longest);
    return Duration.ofNanos(ThreadLocalRandom.current().nextLong(pause / 2, pause + 1));
  }

  /** Starts over, after a success. */
  void reset() {
    next = first;
  }
}
