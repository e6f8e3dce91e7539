package io.pipewright.client;

import io.grpc.Status;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.Job;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.JobSnapshot;
import io.pipewright.v1.WatchJobRequest;
import io.pipewright.v1.WatchJobResponse;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.Optional;
import java.util.Queue;

/**
 * The updates of a job until it is over, without gaps or repeats, over as many connections as
 * necessary. Created by {@link PipewrightClient#watchJob(WatchJobRequest)}.
 *
 * <p>A loop over it waits for each update and ends after the last one. Leaving the loop earlier
 * needs a {@link #close}, which cancels the call: use a try-with-resources statement. Waiting fails
 * with a {@link PipewrightException}: with the error of the service, with {@code CANCELLED} if the
 * thread is interrupted, which it then still is, or if the watch is closed by another thread, and
 * so on when the {@link io.grpc.Context} in which it was made is over.
 */
public final class JobWatch implements Iterable<JobUpdate>, AutoCloseable {
  private static final Duration USUAL_INTERVAL = Duration.ofSeconds(15);
  private static final Duration SHORTEST_INTERVAL = Duration.ofSeconds(1);
  private static final Duration LONGEST_INTERVAL = Duration.ofSeconds(60);
  private static final int MISSED_HEARTBEATS = 3;

  private final Caller caller;
  private final WatchCursor cursor;
  private final ResumingStream<WatchJobRequest, WatchJobResponse> stream;
  private final Queue<JobUpdate> pending = new ArrayDeque<>();
  private final OneLoop<JobUpdate> loop = new OneLoop<>(this::next);

  JobWatch(Caller caller, WatchJobRequest request, Duration silence) {
    this.caller = caller;
    cursor = new WatchCursor(request);
    stream =
        new ResumingStream<>(
            caller,
            JobServiceGrpc.getWatchJobMethod(),
            cursor::request,
            ResumingStream.FINAL,
            silence);
  }

  /** The silence after which such a watch reconnects. */
  static Duration silence(WatchJobRequest request) {
    Duration interval =
        request.hasHeartbeatInterval() ? bound(request.getHeartbeatInterval()) : USUAL_INTERVAL;
    return interval.multipliedBy(MISSED_HEARTBEATS);
  }

  /**
   * The updates, for one thread at a time.
   *
   * @throws IllegalStateException if it was called before: only one loop over a watch is allowed
   */
  @Override
  public Iterator<JobUpdate> iterator() {
    return loop.begin();
  }

  /** Cancels the call on the service. May be called by any thread, and repeatedly. */
  @Override
  public void close() {
    stream.close();
  }

  private Optional<JobUpdate> next() {
    while (pending.isEmpty() && !cursor.isOver()) {
      stream.next().ifPresentOrElse(this::accept, this::confirmEnd);
    }
    if (cursor.isOver()) {
      close();
    }
    return Optional.ofNullable(pending.poll());
  }

  private void accept(WatchJobResponse message) {
    if (!cursor.accept(message, pending::add)) {
      stream.resume(unavailable("events are missing"));
    }
  }

  /**
   * Handles a stream that ended with OK. If the end of the job was not sent, reads the job; if that
   * has not ended, the stream counts as broken.
   */
  private void confirmEnd() {
    try {
      JobUpdate.Snapshot update =
          new JobUpdate.Snapshot(JobSnapshot.newBuilder().setJob(job()).build());
      if (update.ended().isEmpty()) {
        throw unavailable("the watch ended before the job");
      }
      cursor.accept(
          WatchJobResponse.newBuilder().setSnapshot(update.snapshot()).build(), pending::add);
    } catch (PipewrightException e) {
      stream.resume(e);
    }
  }

  private Job job() {
    GetJobRequest request =
        GetJobRequest.newBuilder().setJobId(cursor.request().getJobId()).build();
    return stream.within(() -> caller.call(JobServiceGrpc.getGetJobMethod(), request)).getJob();
  }

  private static PipewrightException unavailable(String description) {
    return PipewrightException.of(Status.UNAVAILABLE.withDescription(description));
  }

  /** The nearest valid interval: the service refuses others, but that takes a moment. */
  private static Duration bound(com.google.protobuf.Duration set) {
    // Seconds first: there may be more than a Duration can hold with nanoseconds.
    long seconds = Math.max(-60, Math.min(set.getSeconds(), 60));
    Duration interval = Duration.ofSeconds(seconds, set.getNanos());
    if (interval.compareTo(SHORTEST_INTERVAL) < 0) {
      return SHORTEST_INTERVAL;
    }
    return interval.compareTo(LONGEST_INTERVAL) > 0 ? LONGEST_INTERVAL : interval;
  }
}
