package io.pipewright.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class GateTest {
  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE); // It may well overflow.
  private final Gate gate =
      new Gate(new Pauses(Duration.ofNanos(100), Duration.ofNanos(400)), now::get);

  @Test
  void letsOneConnectAfterEachOfThePausesThatGrow() {
    assertEquals(0, gate.enter());
    for (int longest : new int[] {100, 200, 400, 400}) {
      long pause = gate.enter();
      assertTrue(pause >= longest / 2 && pause <= longest, pause + " of " + longest);
      now.addAndGet(pause - 1);
      assertEquals(1, gate.enter());
      now.incrementAndGet();
      assertEquals(0, gate.enter());
    }
  }

  @Test
  void startsOverOnceAConnectionHasWorkedButStillMakesThePauseBetweenTwo() {
    for (int i = 0; i < 5; i++) {
      assertEquals(0, gate.enter());
      now.addAndGet(400);
    }
    assertEquals(0, gate.enter());
    gate.reset();
    assertEquals(100, gate.enter());
    now.addAndGet(100);
    assertEquals(0, gate.enter());
    assertTrue(gate.enter() <= 100);
  }
}
