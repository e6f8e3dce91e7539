package io.pipewright.client;

import io.pipewright.v1.JobEvent;
import io.pipewright.v1.JobSnapshot;
import io.pipewright.v1.WatchJobRequest;
import io.pipewright.v1.WatchJobResponse;
import java.util.List;
import java.util.function.Consumer;

/** The position of a watch: drops repeated events, and detects missing ones. */
final class WatchCursor {
  private final WatchJobRequest.Builder request;
  private boolean isOver;

  /** Starts where the request says. */
  WatchCursor(WatchJobRequest request) {
    this.request = request.toBuilder();
  }

  /** A request for the rest. */
  WatchJobRequest request() {
    return request.build();
  }

  /** Whether the last update was returned. */
  boolean isOver() {
    return isOver;
  }

  /**
   * Processes a message.
   *
   * @param updates receives the new updates, in order
   * @return whether nothing is missing up to this message; if not, it must be requested again
   */
  boolean accept(WatchJobResponse message, Consumer<JobUpdate> updates) {
    return switch (message.getPayloadCase()) {
      case SNAPSHOT -> replace(message.getSnapshot(), updates);
      case EVENTS -> advance(message.getEvents().getEventsList(), updates);
      case HEARTBEAT -> message.getHeartbeat().getLastSequence() <= request.getLastSeenSequence();
      case PAYLOAD_NOT_SET -> true;
    };
  }

  private boolean replace(JobSnapshot snapshot, Consumer<JobUpdate> updates) {
    give(new JobUpdate.Snapshot(snapshot), updates);
    return true;
  }

  private boolean advance(List<JobEvent> events, Consumer<JobUpdate> updates) {
    for (JobEvent event : events) {
      long next = request.getLastSeenSequence() + 1;
      if (event.getSequence() > next) {
        return false;
      }
      if (event.getSequence() == next) {
        give(new JobUpdate.Event(event), updates);
      }
    }
    return true;
  }

  private void give(JobUpdate update, Consumer<JobUpdate> updates) {
    request.setLastSeenSequence(update.sequence());
    isOver |= update.ended().isPresent();
    updates.accept(update);
  }
}
