package io.pipewright.client;

import io.grpc.Status;
import io.grpc.Status.Code;

/** Tells what the library says by itself from what the service says, and says it in one line. */
final class OwnErrors {
  /** How the library begins to tell of a connection that ended under a call that was sent. */
  private static final String GOAWAY = "Abrupt GOAWAY";

  private OwnErrors() {}

  /** What a status means; one of the service, which has no cause, means what it says. */
  static Status explain(Status status) {
    if (isUnreadable(status)) {
      return Status.INTERNAL.withDescription(text(status)).withCause(status.getCause());
    }
    if (isOfConnection(status)) {
      return Status.UNAVAILABLE.withDescription(text(status)).withCause(status.getCause());
    }
    return status;
  }

  /** A message that came, but is none: the library cancels the call for that. */
  private static boolean isUnreadable(Status status) {
    return status.getCode() == Code.CANCELLED
        && status.getCause() != null
        && Status.fromThrowable(status.getCause()).getCode() == Code.INTERNAL;
  }

  /**
   * A connection that broke, also within a frame, which makes it INTERNAL, or that the service gave
   * up, for which there are as many codes as reasons. A reset of one stream is not among these.
   */
  private static boolean isOfConnection(Status status) {
    Code code = status.getCode();
    boolean isBroken = code == Code.UNAVAILABLE || code == Code.INTERNAL;
    return isBroken && status.getCause() != null || begins(status, GOAWAY);
  }

  private static boolean begins(Status status, String with) {
    return status.getDescription() != null && status.getDescription().startsWith(with);
  }

  /** The reason at the bottom; what the library adds to it is about its own insides. */
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
