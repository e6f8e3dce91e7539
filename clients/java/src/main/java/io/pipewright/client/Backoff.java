package io.pipewright.client;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Pauses that double up to a bound, each shortened by up to a half at random, so that clients that
 * lost the same service do not all reconnect at the same time.
 */
final class Backoff {
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

  /** The next pause, or the one that the service requests, if that is longer. */
  Duration next(Optional<Duration> asked) {
    Duration own = next();
    return asked.filter(each -> each.compareTo(own) > 0).orElse(own);
  }

  /** Starts over, after a success. */
  void reset() {
    next = first;
  }
}
