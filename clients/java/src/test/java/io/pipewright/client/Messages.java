package io.pipewright.client;

import io.pipewright.v1.GetJobResponse;
import io.pipewright.v1.Job;
import io.pipewright.v1.JobEnded;
import io.pipewright.v1.JobEvent;
import io.pipewright.v1.JobEventBatch;
import io.pipewright.v1.JobHeartbeat;
import io.pipewright.v1.JobSnapshot;
import io.pipewright.v1.StageProgressed;
import io.pipewright.v1.WatchJobRequest;
import io.pipewright.v1.WatchJobResponse;
import java.util.List;
import java.util.stream.LongStream;

/** Messages about the job {@code j}. */
final class Messages {
  private Messages() {}

  static WatchJobRequest after(long sequence) {
    return WatchJobRequest.newBuilder().setJobId("j").setLastSeenSequence(sequence).build();
  }

  static WatchJobResponse snapshot(long sequence) {
    return snapshot(sequence, Job.State.STATE_RUNNING);
  }

  static WatchJobResponse snapshot(long sequence, Job.State state) {
    var snapshot = JobSnapshot.newBuilder().setJob(job(sequence, state));
    return WatchJobResponse.newBuilder().setSnapshot(snapshot).build();
  }

  static WatchJobResponse heartbeat(long sequence) {
    var heartbeat = JobHeartbeat.newBuilder().setLastSequence(sequence);
    return WatchJobResponse.newBuilder().setHeartbeat(heartbeat).build();
  }

  static WatchJobResponse events(long... sequences) {
    return batch(LongStream.of(sequences).mapToObj(Messages::event).toArray(JobEvent[]::new));
  }

  static WatchJobResponse end(long sequence) {
    var ended = JobEnded.newBuilder().setJob(job(sequence, Job.State.STATE_SUCCEEDED));
    return batch(JobEvent.newBuilder().setSequence(sequence).setJobEnded(ended).build());
  }

  static WatchJobResponse batch(JobEvent... events) {
    var batch = JobEventBatch.newBuilder().addAllEvents(List.of(events));
    return WatchJobResponse.newBuilder().setEvents(batch).build();
  }

  static JobEvent event(long sequence) {
    var progressed = StageProgressed.newBuilder().setStageName("s").setProgressPercent(1);
    return JobEvent.newBuilder().setSequence(sequence).setStageProgressed(progressed).build();
  }

  static Job job(long sequence, Job.State state) {
    return Job.newBuilder().setId("j").setLastSequence(sequence).setState(state).build();
  }

  static GetJobResponse got(Job job) {
    return GetJobResponse.newBuilder().setJob(job).build();
  }
}
