package io.pipewright.client;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusException;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * A stream of the service over as many calls as necessary, read by one thread. It ends with the
 * context in which it was created, by cancel or deadline, or with {@link #close}.
 */
final class ResumingStream<Q, M> implements AutoCloseable {
  /** The errors after which, by the contract of WatchJob, another call would fail, too. */
  static final Set<Code> FINAL =
      EnumSet.of(
          Code.NOT_FOUND,
          Code.PERMISSION_DENIED,
          Code.UNAUTHENTICATED,
          Code.INVALID_ARGUMENT,
          Code.UNIMPLEMENTED);

  private static final Status CLOSED = Status.CANCELLED.withDescription("it is closed");

  private final Caller caller;
  private final MethodDescriptor<Q, M> method;
  private final Supplier<Q> request;
  private final Set<Code> finalCodes;
  private final Duration silence;
  private final Backoff backoff;
  private final Context.CancellableContext context = Context.current().withCancellation();

  private StreamCall<M> call;
  private boolean hasHeard;
  private int failures;

  /**
   * Connects with the first {@code next}.
   *
   * @param request returns the request for the rest, at the beginning of each call
   * @param silence the time without a message after which the call is replaced by another one
   */
  ResumingStream(
      Caller caller,
      MethodDescriptor<Q, M> method,
      Supplier<Q> request,
      Set<Code> finalCodes,
      Duration silence) {
    this.caller = caller;
    this.method = method;
    this.request = request;
    this.finalCodes = finalCodes;
    this.silence = silence;
    this.backoff = caller.backoff().get();
  }

  /**
   * Waits for the next message.
   *
   * @return empty when a call has ended without an error
   * @throws PipewrightException if the error is final, or the service never sent a message
   */
  Optional<M> next() {
    while (true) {
      try {
        return receive();
      } catch (StatusException e) {
        resume(PipewrightException.from(e));
      }
    }
  }

  /** Pauses; the next message is from another call. */
  void resume(PipewrightException why) {
    leave();
    if (context.isCancelled()) {
      throw PipewrightException.of(Contexts.statusFromCancelled(context));
    }
    if (caller.connection().isClosed()) {
      close();
      throw PipewrightException.of(Connection.CLOSED);
    }
    boolean isHopeless = !hasHeard && ++failures == Caller.TRIES;
    if (finalCodes.contains(why.code()) || isHopeless) {
      close();
      throw why;
    }
    pause(backoff.next(why.retryDelay()));
  }

  /** Runs an action that ends with this stream, too. */
  <T> T within(Supplier<T> action) {
    Context before = context.attach();
    try {
      return action.get();
    } finally {
      context.detach(before);
    }
  }

  /** Cancels the call on the service, and notifies waiters. May be called by any thread. */
  @Override
  public void close() {
    context.cancel(CLOSED.asException());
  }

  private Optional<M> receive() throws StatusException {
    try {
      if (call == null) {
        caller.connection().connect(context, Optional.empty());
        call = within(() -> StreamCall.open(caller.connection().channel(), method, request.get()));
      }
      Optional<M> message = call.next(silence);
      if (message.isPresent()) {
        hasHeard = true;
        backoff.reset();
      }
      return message;
    } catch (InterruptedException e) {
      close();
      throw PipewrightException.interrupted(e);
    }
  }

  private void leave() {
    if (call != null) {
      call.cancel();
      call = null;
    }
  }

  private void pause(Duration pause) {
    try {
      caller.connection().pause(pause, context, Optional.empty());
    } catch (InterruptedException e) {
      close();
      throw PipewrightException.interrupted(e);
    }
  }
}
