package io.pipewright.client;

import io.pipewright.v1.CancelJobRequest;
import io.pipewright.v1.CancelJobResponse;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.GetJobResponse;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.ListJobsRequest;
import io.pipewright.v1.ListJobsResponse;
import io.pipewright.v1.RetryJobRequest;
import io.pipewright.v1.RetryJobResponse;
import java.time.Duration;

/**
 * Shows and controls jobs. {@link PipewrightClient#watchJob} and {@link PipewrightClient#readLog}
 * follow them.
 *
 * <p>Each call is limited to 30 s unless {@link #withTimeout} sets another limit, and is tried up
 * to five times while the service is unavailable.
 */
public final class Jobs {
  private final Caller caller;

  Jobs(Caller caller) {
    this.caller = caller;
  }

  /**
   * The same calls with another time limit for each, including its retries.
   *
   * @throws IllegalArgumentException if the limit is not positive
   */
  public Jobs withTimeout(Duration limit) {
    return new Jobs(caller.withLimit(limit));
  }

  /**
   * Gets a job with its stage runs.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public GetJobResponse getJob(GetJobRequest request) {
    return caller.call(JobServiceGrpc.getGetJobMethod(), request);
  }

  /**
   * Lists jobs without their stage runs, newest first.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public ListJobsResponse listJobs(ListJobsRequest request) {
    return caller.call(JobServiceGrpc.getListJobsMethod(), request);
  }

  /**
   * Requests the end of a job. FAILED_PRECONDITION if it has ended otherwise.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public CancelJobResponse cancelJob(CancelJobRequest request) {
    return caller.call(JobServiceGrpc.getCancelJobMethod(), request);
  }

  /**
   * Starts a new job with the revision, ref, commit and variables of an ended one.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public RetryJobResponse retryJob(RetryJobRequest request) {
    return caller.call(JobServiceGrpc.getRetryJobMethod(), request);
  }
}
