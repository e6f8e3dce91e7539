package io.pipewright.client;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** An action that must fail, in a thread that can be interrupted. */
final class Interruptible {
  private record Outcome(PipewrightException error, boolean isInterrupted) {}

  private final CompletableFuture<Outcome> outcome = new CompletableFuture<>();
  private final Thread thread;

  Interruptible(Runnable action) {
    thread = new Thread(() -> run(action));
    thread.setDaemon(true);
    thread.start();
  }

  void interrupt() {
    thread.interrupt();
  }

  PipewrightException error() throws Exception {
    return outcome.get(20, TimeUnit.SECONDS).error();
  }

  boolean wasStillInterrupted() throws Exception {
    return outcome.get(20, TimeUnit.SECONDS).isInterrupted();
  }

  private void run(Runnable action) {
    try {
      action.run();
      outcome.completeExceptionally(new AssertionError("it has not failed"));
    } catch (PipewrightException e) {
      outcome.complete(new Outcome(e, Thread.currentThread().isInterrupted()));
    } catch (Throwable e) {
      outcome.completeExceptionally(e);
    }
  }
}
