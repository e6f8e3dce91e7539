package io.pipewright.client;

import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The error of a failed call. All fields except the code and the description are set only if the
 * service responded.
 */
@SuppressWarnings("serial") // An io.grpc.Status cannot be serialized, so neither can its errors.
public final class PipewrightException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Status.Code code;
  private final String description;
  private final String reason;
  private final String domain;
  private final Map<String, String> metadata;
  private final List<FieldViolation> fieldViolations;
  private final Duration retryDelay;
  private final OptionalInt httpStatus;

  private PipewrightException(Status status, ErrorDetails details, Throwable cause) {
    super(message(status, details.info()), cause);
    code = status.getCode();
    description = text(status);
    reason = details.info().getReason();
    domain = details.info().getDomain();
    metadata = Map.copyOf(details.info().getMetadataMap());
    fieldViolations = details.fieldViolations();
    retryDelay = details.retryDelay().orElse(null);
    httpStatus = NotGrpc.httpStatus(status);
  }

  /**
   * The error of a call that was made with a stub of {@link PipewrightClient#channel}: a {@link
   * io.grpc.StatusRuntimeException}, a {@link io.grpc.StatusException}, or an error caused by one.
   */
  public static PipewrightException from(Throwable error) {
    return error instanceof PipewrightException same
        ? same
        : new PipewrightException(Status.fromThrowable(error), ErrorDetails.of(error), error);
  }

  /** An error of this client itself. */
  static PipewrightException of(Status status) {
    return from(status.asRuntimeException());
  }

  /** An interrupted wait. The thread stays interrupted, as no InterruptedException is thrown. */
  static PipewrightException interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    return of(Status.CANCELLED.withDescription("the thread was interrupted").withCause(e));
  }

  /** The gRPC code. */
  public Status.Code code() {
    return code;
  }

  /** What went wrong, for people, without the code and the reason that the message has. */
  public String description() {
    return description;
  }

  /** What went wrong, for programs, such as {@code ETAG_MISMATCH}; may be empty. */
  public String reason() {
    return reason;
  }

  /** The namespace of the reason; may be empty. */
  public String domain() {
    return domain;
  }

  /** Further facts about the reason; may be empty. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** The invalid fields of the request; may be empty. */
  public List<FieldViolation> fieldViolations() {
    return fieldViolations;
  }

  /** The pause before another try, if the service sets it. */
  public Optional<Duration> retryDelay() {
    return Optional.ofNullable(retryDelay);
  }

  /** The HTTP status of an answer that was not gRPC, as a proxy in between sends it. */
  public OptionalInt httpStatus() {
    return httpStatus;
  }

  private static String message(Status status, ErrorInfo info) {
    String reason = info.getReason().isEmpty() ? "" : " (" + info.getReason() + ")";
    return status.getCode() + reason + ": " + text(status);
  }

  private static String text(Status status) {
    return Optional.ofNullable(status.getDescription()).orElse("");
  }
}
