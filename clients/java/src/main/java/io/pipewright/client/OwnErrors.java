package io.pipewright.client;

import io.grpc.Status;
import io.grpc.Status.Code;

/** Distinguishes the library's own errors from the service's, and makes them one line. */
final class OwnErrors {
  /** Start of the library's message for a connection that ended during a call. */
  private static final String GOAWAY = "Abrupt GOAWAY";

  private OwnErrors() {}

  /** Converts a status; one of the service has no cause, and is unchanged. */
  static Status explain(Status status) {
    if (isUnreadable(status)) {
      return Status.INTERNAL.withDescription(text(status)).withCause(status.getCause());
    }
    if (isOfConnection(status)) {
      return Status.UNAVAILABLE.withDescription(text(status)).withCause(status.getCause());
    }
    return status;
  }

  /** A message that cannot be decoded: the library cancels the call for that. */
  private static boolean isUnreadable(Status status) {
    return status.getCode() == Code.CANCELLED
        && status.getCause() != null
        && Status.fromThrowable(status.getCause()).getCode() == Code.INTERNAL;
  }

  /**
   * A broken connection, also within a frame, which makes it INTERNAL, or one that the service
   * closed, for which there are as many codes as reasons. A reset of one stream is not included.
   */
  private static boolean isOfConnection(Status status) {
    Code code = status.getCode();
    boolean isBroken = code == Code.UNAVAILABLE || code == Code.INTERNAL;
    return isBroken && status.getCause() != null || begins(status, GOAWAY);
  }

  private static boolean begins(Status status, String with) {
    return status.getDescription() != null && status.getDescription().startsWith(with);
  }

  /** The root cause; the rest of the library's message is about its own internals. */
  private static String text(Status status) {
    Throwable root = status.getCause();
    while (root != null && root.getCause() != null) {
      root = root.getCause();
    }
    String said = root == null ? null : root.getMessage();
    String text = said == null ? status.getDescription() : said;
    return text == null ? "" : text.lines().findFirst().orElse("");
  }
}
