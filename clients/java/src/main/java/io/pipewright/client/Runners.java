package io.pipewright.client;

import io.pipewright.v1.DrainRunnerRequest;
import io.pipewright.v1.DrainRunnerResponse;
import io.pipewright.v1.GetRunnerRequest;
import io.pipewright.v1.GetRunnerResponse;
import io.pipewright.v1.ListRunnersRequest;
import io.pipewright.v1.ListRunnersResponse;
import io.pipewright.v1.ResumeRunnerRequest;
import io.pipewright.v1.ResumeRunnerResponse;
import io.pipewright.v1.RunnerServiceGrpc;
import java.time.Duration;

/**
 * Shows and drains runners.
 *
 * <p>Each call is limited to 30 s unless {@link #withTimeout} sets another limit, and is tried up
 * to five times while the service is unavailable.
 */
public final class Runners {
  private final Caller caller;

  Runners(Caller caller) {
    this.caller = caller;
  }

  /**
   * The same calls with another time limit for each, including its retries.
   *
   * @throws IllegalArgumentException if the limit is not positive
   */
  public Runners withTimeout(Duration limit) {
    return new Runners(caller.withLimit(limit));
  }

  /**
   * Gets a runner with the stages that it runs.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public GetRunnerResponse getRunner(GetRunnerRequest request) {
    return caller.call(RunnerServiceGrpc.getGetRunnerMethod(), request);
  }

  /**
   * Lists runners, in the order of their registration.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public ListRunnersResponse listRunners(ListRunnersRequest request) {
    return caller.call(RunnerServiceGrpc.getListRunnersMethod(), request);
  }

  /**
   * Gives a runner no new jobs. Repeating it is fine.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public DrainRunnerResponse drainRunner(DrainRunnerRequest request) {
    return caller.call(RunnerServiceGrpc.getDrainRunnerMethod(), request);
  }

  /**
   * Gives a drained runner new jobs again. Repeating it is fine.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public ResumeRunnerResponse resumeRunner(ResumeRunnerRequest request) {
    return caller.call(RunnerServiceGrpc.getResumeRunnerMethod(), request);
  }
}
