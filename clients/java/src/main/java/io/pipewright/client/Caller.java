package io.pipewright.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.util.function.Supplier;

/** Makes unary calls: within a limit of time, again where that is safe, with our errors. */
record Caller(Connection connection, Supplier<Backoff> backoff, Duration limit) {
  /** How often a call is tried while the service is unavailable. */
  static final int TRIES = 5;

  /** The package of the calls that are safe to repeat; those of a runner's leases are not. */
  private static final String REPEATABLE = "pipewright.v1.";

  /** The same with another limit for each call. */
  Caller withLimit(Duration limit) {
    if (limit.isNegative() || limit.isZero()) {
      throw new IllegalArgumentException("a limit of time is more than nothing");
    }
    return new Caller(connection, backoff, limit);
  }

  /**
   * Makes a call and waits for its answer.
   *
   * <p>The retry policy of gRPC is not enough here: it gives up once the headers of an answer have
   * come, so that a connection that breaks within a long list would be an error.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  <Q extends Message, R> R call(MethodDescriptor<Q, R> method, Q request) {
    Deadline deadline = Deadline.after(NANOSECONDS.convert(limit), NANOSECONDS);
    CallOptions options = CallOptions.DEFAULT.withDeadline(deadline);
    boolean isRepeatable = method.getServiceName().startsWith(REPEATABLE);
    Q sent = isRepeatable ? RequestIds.complete(request) : request;
    Backoff pauses = backoff.get();
    for (int left = isRepeatable ? TRIES - 1 : 0; ; left--) {
      connection.wake();
      try {
        return ClientCalls.blockingUnaryCall(connection.channel(), method, options, sent);
      } catch (StatusRuntimeException e) {
        if (left == 0 || !isPassing(e)) {
          throw PipewrightException.from(e);
        }
        pause(Math.min(pauses.next().toNanos(), deadline.timeRemaining(NANOSECONDS)));
      }
    }
  }

  private boolean isPassing(StatusRuntimeException e) {
    return e.getStatus().getCode() == Status.Code.UNAVAILABLE && !connection.isClosed();
  }

  private static void pause(long nanoseconds) {
    try {
      NANOSECONDS.sleep(nanoseconds);
    } catch (InterruptedException e) {
      throw PipewrightException.interrupted(e);
    }
  }
}
