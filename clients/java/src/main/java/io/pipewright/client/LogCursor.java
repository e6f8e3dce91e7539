package io.pipewright.client;

import com.google.protobuf.ByteString;
import io.pipewright.v1.LogChunk;
import io.pipewright.v1.LogGap;
import io.pipewright.v1.ReadStageLogRequest;
import io.pipewright.v1.ReadStageLogResponse;
import java.util.Optional;

/** Where a reader of a log is: cuts off what is repeated, and finds what is missing. */
final class LogCursor {
  private final ReadStageLogRequest.Builder request;
  private final boolean isLimited;
  private boolean isComplete;

  /** Starts where the request says. */
  LogCursor(ReadStageLogRequest request) {
    this.request = request.toBuilder();
    this.isLimited = request.getLimitBytes() > 0;
  }

  /** A request for what is still to come. */
  ReadStageLogRequest request() {
    return request.build();
  }

  /** Whether the log has ended, or all bytes that were asked for were given. */
  boolean isOver() {
    // A limit of 0 would ask for all there are.
    return isComplete || isLimited && request.getLimitBytes() == 0;
  }

  /** Whether a call that ends without an error has told all that was asked for. */
  boolean mayEnd() {
    return isLimited || !request.getFollow();
  }

  /** Whether a message begins where the one before ended, or earlier. */
  boolean follows(ReadStageLogResponse message) {
    return switch (message.getPayloadCase()) {
      case CHUNK -> isReached(message.getChunk().getOffset());
      case GAP -> isReached(message.getGap().getStartOffset());
      default -> true;
    };
  }

  /** Takes in a message that follows, and gives what is new in it. */
  Optional<LogPiece> accept(ReadStageLogResponse message) {
    Optional<LogPiece> piece =
        switch (message.getPayloadCase()) {
          case CHUNK -> unread(message.getChunk());
          case GAP -> unread(message.getGap());
          default -> Optional.empty();
        };
    isComplete = message.hasEnd();
    request.setAttempt(message.getAttempt());
    request.setOffset(Math.max(request.getOffset(), message.getNextOffset()));
    return piece;
  }

  private Optional<LogPiece> unread(LogChunk chunk) {
    long start = start(chunk.getOffset());
    long known = start - chunk.getOffset();
    if (known >= chunk.getData().size()) {
      return Optional.empty();
    }
    ByteString data = chunk.getData().substring((int) known);
    if (isLimited) {
      request.setLimitBytes(Math.max(0, request.getLimitBytes() - data.size()));
    }
    return Optional.of(new LogPiece.Bytes(start, data));
  }

  private Optional<LogPiece> unread(LogGap gap) {
    long start = start(gap.getStartOffset());
    return start < gap.getEndOffset()
        ? Optional.of(new LogPiece.Gap(start, gap.getEndOffset(), gap.getReason()))
        : Optional.empty();
  }

  private boolean isReached(long offset) {
    return isFromTheEnd() || offset <= request.getOffset();
  }

  private long start(long offset) {
    return isFromTheEnd() ? offset : Math.max(offset, request.getOffset());
  }

  /** Whether only the service knows where it begins: as long as no message has told. */
  private boolean isFromTheEnd() {
    return request.getOffset() < 0;
  }
}
