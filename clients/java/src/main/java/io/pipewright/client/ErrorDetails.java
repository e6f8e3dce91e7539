package io.pipewright.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** The machine-readable details of an error. Broken ones are ignored. */
record ErrorDetails(List<Any> all) {
  /** The maximum of a google.protobuf.Duration. */
  private static final long MOST_SECONDS = 315_576_000_000L;

  static ErrorDetails of(Throwable error) {
    try {
      Status status = StatusProto.fromThrowable(error);
      return new ErrorDetails(status == null ? List.of() : status.getDetailsList());
    } catch (IllegalArgumentException e) {
      // Not a message, or a status that contradicts that of the call.
      return new ErrorDetails(List.of());
    }
  }

  ErrorInfo info() {
    return first(ErrorInfo.class).orElse(ErrorInfo.getDefaultInstance());
  }

  List<FieldViolation> fieldViolations() {
    return first(BadRequest.class)
        .orElse(BadRequest.getDefaultInstance())
        .getFieldViolationsList()
        .stream()
        .map(each -> new FieldViolation(each.getField(), each.getDescription()))
        .toList();
  }

  Optional<Duration> retryDelay() {
    return first(RetryInfo.class)
        .filter(RetryInfo::hasRetryDelay)
        .map(RetryInfo::getRetryDelay)
        .filter(delay -> delay.getSeconds() >= 0 && delay.getSeconds() <= MOST_SECONDS)
        .map(delay -> Duration.ofSeconds(delay.getSeconds()).plusNanos(delay.getNanos()));
  }

  private <T extends Message> Optional<T> first(Class<T> type) {
    for (Any each : all) {
      if (each.is(type)) {
        try {
          return Optional.of(each.unpack(type));
        } catch (InvalidProtocolBufferException e) {
          return Optional.empty();
        }
      }
    }
    return Optional.empty();
  }
}
