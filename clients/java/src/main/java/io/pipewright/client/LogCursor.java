package io.pipewright.client;

import com.google.protobuf.ByteString;
import io.pipewright.v1.LogChunk;
import io.pipewright.v1.LogGap;
import io.pipewright.v1.ReadStageLogRequest;
import io.pipewright.v1.ReadStageLogResponse;
import java.util.Optional;

/** The position of a log reader: trims repeated bytes, and detects missing ones. */
final class LogCursor {
  private final ReadStageLogRequest.Builder request;
  private final boolean isLimited;
  private boolean isComplete;

  /** Starts where the request says. */
  LogCursor(ReadStageLogRequest request) {
    this.request = request.toBuilder();
    this.isLimited = request.getLimitBytes() > 0;
  }

  /** A request for the rest. */
  ReadStageLogRequest request() {
    return request.build();
  }

  /** Whether the log has ended, or all requested bytes were returned. */
  boolean isOver() {
    // A limit of 0 would mean no limit.
    return isComplete || isLimited && request.getLimitBytes() == 0;
  }

  /** Whether a call that ends without an error has sent everything. */
  boolean mayEnd() {
    return isLimited || !request.getFollow();
  }

  /** Whether a message begins where the previous one ended, or earlier. */
  boolean follows(ReadStageLogResponse message) {
    return switch (message.getPayloadCase()) {
      case CHUNK -> isReached(message.getChunk().getOffset());
      case GAP -> isReached(message.getGap().getStartOffset());
      default -> true;
    };
  }

  /** Processes a message that follows, and returns its new part. */
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

  /** Whether the start is unknown: it counts from the end, and no message has arrived yet. */
  private boolean isFromTheEnd() {
    return request.getOffset() < 0;
  }
}
