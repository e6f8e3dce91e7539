package io.pipewright.client;

import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A call that failed. What it tells beyond the code and the description is there only if the
 * service answered.
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
   * io.grpc.StatusRuntimeException}, a {@link io.grpc.StatusException}, or what was caused by one.
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

  /** A wait that the thread was told to end. It stays interrupted, as the wait does not say so. */
  static PipewrightException interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    return of(Status.CANCELLED.withDescription("the thread was interrupted").withCause(e));
  }

  /** The class of the error. */
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

  /** Where the reason is from; may be empty. */
  public String domain() {
    return domain;
  }

  /** Facts that belong to the reason; may be empty. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** The places in the request that are not valid; may be empty. */
  public List<FieldViolation> fieldViolations() {
    return fieldViolations;
  }

  /** How long to wait before another try, if the service says so. */
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
