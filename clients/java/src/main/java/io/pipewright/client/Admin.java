package io.pipewright.client;

import io.pipewright.v1.AdminServiceGrpc;
import io.pipewright.v1.ListTasksRequest;
import io.pipewright.v1.ListTasksResponse;
import java.time.Duration;

/**
 * Shows operators the background tasks of the service.
 *
 * <p>Each call is limited to 30 s unless {@link #withTimeout} sets another limit, and is tried up
 * to five times while the service is unavailable.
 */
public final class Admin {
  private final Caller caller;

  Admin(Caller caller) {
    this.caller = caller;
  }

  /**
   * The same calls with another time limit for each, including its retries.
   *
   * @throws IllegalArgumentException if the limit is not positive
   */
  public Admin withTimeout(Duration limit) {
    return new Admin(caller.withLimit(limit));
  }

  /**
   * Lists the background tasks of the process that responds, in the order of their names.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public ListTasksResponse listTasks(ListTasksRequest request) {
    return caller.call(AdminServiceGrpc.getListTasksMethod(), request);
  }
}
