package io.pipewright.client;

import io.grpc.Status;
import io.grpc.Status.Code;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.ReadStageLogRequest;
import io.pipewright.v1.ReadStageLogResponse;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Iterator;
import java.util.Optional;
import java.util.Set;

/**
 * The log of one attempt at a stage, over as many connections as necessary. Created by {@link
 * PipewrightClient#readLog(ReadStageLogRequest)}.
 *
 * <p>A loop over it waits for each piece and ends with the log. Leaving the loop earlier needs a
 * {@link #close}, which cancels the call: use a try-with-resources statement. Waiting fails as it
 * does for a {@link JobWatch}, and with {@code OUT_OF_RANGE} if the log ends before the offset.
 */
public final class LogReader implements Iterable<LogPiece>, AutoCloseable {
  /** Three missed heartbeats of 15 s. */
  static final Duration SILENCE = Duration.ofSeconds(45);

  private static final Set<Code> FINAL = EnumSet.copyOf(ResumingStream.FINAL);

  static {
    FINAL.add(Code.OUT_OF_RANGE);
  }

  private final LogCursor cursor;
  private final ResumingStream<ReadStageLogRequest, ReadStageLogResponse> stream;
  private final OneLoop<LogPiece> loop = new OneLoop<>(this::next);

  LogReader(Caller caller, ReadStageLogRequest request, Duration silence) {
    cursor = new LogCursor(request);
    stream =
        new ResumingStream<>(
            caller, JobServiceGrpc.getReadStageLogMethod(), cursor::request, FINAL, silence);
  }

  /**
   * The pieces, for one thread at a time.
   *
   * @throws IllegalStateException if it was called before: only one loop over a reader is allowed
   */
  @Override
  public Iterator<LogPiece> iterator() {
    return loop.begin();
  }

  /**
   * Writes the bytes of all pieces and skips the gaps; use it instead of a loop.
   *
   * @return the number of bytes
   * @throws IOException if they cannot be written; the log is then closed
   * @throws IllegalStateException if a loop has begun
   */
  public long transferTo(OutputStream out) throws IOException {
    long size = 0;
    try (this) {
      for (LogPiece piece : this) {
        if (piece instanceof LogPiece.Bytes bytes) {
          bytes.data().writeTo(out);
          size += bytes.data().size();
        }
      }
    }
    return size;
  }

  /** Cancels the call on the service. May be called by any thread, and repeatedly. */
  @Override
  public void close() {
    stream.close();
  }

  private Optional<LogPiece> next() {
    while (!cursor.isOver()) {
      Optional<ReadStageLogResponse> message = stream.next();
      if (message.isPresent()) {
        Optional<LogPiece> piece = accept(message.get());
        if (piece.isPresent()) {
          return piece;
        }
      } else if (cursor.mayEnd()) {
        break;
      } else {
        stream.resume(unavailable("the call ended before the log"));
      }
    }
    close();
    return Optional.empty();
  }

  private Optional<LogPiece> accept(ReadStageLogResponse message) {
    if (cursor.follows(message)) {
      return cursor.accept(message);
    }
    stream.resume(unavailable("bytes of the log are missing"));
    return Optional.empty();
  }

  private static PipewrightException unavailable(String description) {
    return PipewrightException.of(Status.UNAVAILABLE.withDescription(description));
  }
}
