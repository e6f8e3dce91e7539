package io.pipewright.client;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class BackoffTest {
  @Test
  void pausesGrowToTheirBoundAndStartOver() {
    var backoff = Pauses.USUAL.begin();
    for (int full : new int[] {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
      assertPause(backoff, full);
    }
    backoff.reset();
    assertPause(backoff, 100);
  }

  private static void assertPause(Backoff backoff, int full) {
    Duration pause = backoff.next();
    boolean isWithin =
        pause.compareTo(Duration.ofMillis(full / 2)) >= 0
            && pause.compareTo(Duration.ofMillis(full)) <= 0;
    assertTrue(isWithin, pause + " of " + full + " ms");
  }
}
