package io.pipewright.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Supplier;

/** Makes unary calls: with an optional time limit, safe retries and typed errors. */
record Caller(Connection connection, Supplier<Backoff> backoff, Optional<Duration> limit) {
  /** How often a call is tried while the service is unavailable. */
  static final int TRIES = 5;

  /** The package of the calls that are safe to retry; those of a runner's leases are not. */
  private static final String REPEATABLE = "pipewright.v1.";

  /** The same with another limit for each call. */
  Caller withLimit(Duration limit) {
    if (limit.isNegative() || limit.isZero()) {
      throw new IllegalArgumentException("a limit of time is more than nothing");
    }
    return new Caller(connection, backoff, Optional.of(limit));
  }

  /** The same without a limit, for calls that the service may hold. */
  Caller withoutLimit() {
    return new Caller(connection, backoff, Optional.empty());
  }

  /**
   * Makes a call and waits for its response.
   *
   * <p>The retry policy of gRPC is not enough here: it gives up once the headers of a response have
   * arrived, so that a connection that breaks within a long list would be an error.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  <Q extends Message, R> R call(MethodDescriptor<Q, R> method, Q request) {
    Optional<Deadline> deadline =
        limit.map(each -> Deadline.after(NANOSECONDS.convert(each), NANOSECONDS));
    CallOptions options = CallOptions.DEFAULT.withDeadline(deadline.orElse(null));
    boolean isRepeatable = method.getServiceName().startsWith(REPEATABLE);
    Q sent = isRepeatable ? RequestIds.complete(request) : request;
    Backoff pauses = backoff.get();
    Optional<PipewrightException> before = Optional.empty();
    for (int left = isRepeatable ? TRIES - 1 : 0; ; left--) {
      try {
        connection.connect(Context.current(), deadline);
        return ClientCalls.blockingUnaryCall(connection.channel(), method, options, sent);
      } catch (InterruptedException e) {
        throw PipewrightException.interrupted(e);
      } catch (StatusRuntimeException e) {
        PipewrightException error = PipewrightException.from(e);
        if (left == 0 || error.code() != Code.UNAVAILABLE) {
          throw error.code() == Code.DEADLINE_EXCEEDED ? late(error, before) : error;
        }
        before = Optional.of(error);
        pause(pauses.next(error.retryDelay()), deadline);
      }
    }
  }

  private void pause(Duration pause, Optional<Deadline> deadline) {
    try {
      connection.pause(pause, Context.current(), deadline);
    } catch (InterruptedException e) {
      throw PipewrightException.interrupted(e);
    }
  }

  /** The error at the end of the limit, with the error of the last try. */
  private static PipewrightException late(
      PipewrightException error, Optional<PipewrightException> before) {
    return before
        .map(each -> "the limit is over; the try before failed with " + each.getMessage())
        .map(each -> PipewrightException.of(Status.DEADLINE_EXCEEDED.withDescription(each)))
        .orElse(error);
  }
}
