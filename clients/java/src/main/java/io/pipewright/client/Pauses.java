package io.pipewright.client;

import java.time.Duration;

/** The bounds of pauses between tries. */
record Pauses(Duration first, Duration longest) {
  static final Pauses USUAL = new Pauses(Duration.ofMillis(100), Duration.ofSeconds(5));

  /** The pauses for one series of failures. */
  Backoff begin() {
    return new Backoff(first, longest);
  }
}
