package io.pipewright.client;

import io.pipewright.v1.Job;
import io.pipewright.v1.JobEvent;
import io.pipewright.v1.JobSnapshot;
import java.util.Optional;

/** One step of a watch: an event, or a snapshot that replaces the known state of the job. */
public sealed interface JobUpdate {
  /** The position after this update: another watch can resume from there. */
  long sequence();

  /** The final job; present only in the last update. */
  Optional<Job> ended();

  /**
   * A change of the job.
   *
   * @param event the event; its change is not set if this client does not know the kind
   */
  record Event(JobEvent event) implements JobUpdate {
    @Override
    public long sequence() {
      return event.getSequence();
    }

    @Override
    public Optional<Job> ended() {
      return event.hasJobEnded() ? Optional.of(event.getJobEnded().getJob()) : Optional.empty();
    }
  }

  /**
   * The whole job.
   *
   * @param snapshot the job, and why it was sent
   */
  record Snapshot(JobSnapshot snapshot) implements JobUpdate {
    @Override
    public long sequence() {
      return snapshot.getJob().getLastSequence();
    }

    @Override
    public Optional<Job> ended() {
      return Optional.of(snapshot.getJob()).filter(Snapshot::isOver);
    }

    private static boolean isOver(Job job) {
      return switch (job.getState()) {
        case STATE_SUCCEEDED, STATE_FAILED, STATE_CANCELLED -> true;
        default -> false;
      };
    }
  }
}
