package io.pipewright.client;

import io.pipewright.runner.v1.AcquireLeaseRequest;
import io.pipewright.runner.v1.AcquireLeaseResponse;
import io.pipewright.runner.v1.AppendLogRequest;
import io.pipewright.runner.v1.AppendLogResponse;
import io.pipewright.runner.v1.CompleteLeaseRequest;
import io.pipewright.runner.v1.CompleteLeaseResponse;
import io.pipewright.runner.v1.DeregisterRunnerRequest;
import io.pipewright.runner.v1.DeregisterRunnerResponse;
import io.pipewright.runner.v1.LeaseServiceGrpc;
import io.pipewright.runner.v1.RegisterRunnerRequest;
import io.pipewright.runner.v1.RegisterRunnerResponse;
import io.pipewright.runner.v1.RenewLeaseRequest;
import io.pipewright.runner.v1.RenewLeaseResponse;
import java.time.Duration;

/**
 * The calls of a runner: it gets stages under leases.
 *
 * <p>A lease has its own rules for retries, so these calls are made once and unchanged, including
 * {@code request_id}. They have no time limit unless {@link #withTimeout} sets one, as the service
 * holds some on purpose.
 */
public final class Leases {
  private final Caller caller;

  Leases(Caller caller) {
    this.caller = caller;
  }

  /**
   * The same calls with a time limit for each.
   *
   * @throws IllegalArgumentException if the limit is not positive
   */
  public Leases withTimeout(Duration limit) {
    return new Leases(caller.withLimit(limit));
  }

  /**
   * Announces a runner process. The same {@code session_id} gets the same response.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public RegisterRunnerResponse registerRunner(RegisterRunnerRequest request) {
    return caller.call(LeaseServiceGrpc.getRegisterRunnerMethod(), request);
  }

  /**
   * Waits for a stage. A response without a lease means that none is ready yet: call again.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public AcquireLeaseResponse acquireLease(AcquireLeaseRequest request) {
    return caller.call(LeaseServiceGrpc.getAcquireLeaseMethod(), request);
  }

  /**
   * Confirms or renews a lease, reports progress, and returns whether to cancel.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public RenewLeaseResponse renewLease(RenewLeaseRequest request) {
    return caller.call(LeaseServiceGrpc.getRenewLeaseMethod(), request);
  }

  /**
   * Appends to the log of a stage.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public AppendLogResponse appendLog(AppendLogRequest request) {
    return caller.call(LeaseServiceGrpc.getAppendLogMethod(), request);
  }

  /**
   * Ends a lease with its outcome. Repeating it is fine.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public CompleteLeaseResponse completeLease(CompleteLeaseRequest request) {
    return caller.call(LeaseServiceGrpc.getCompleteLeaseMethod(), request);
  }

  /**
   * Ends a session of a runner, so that it is shown as offline immediately.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public DeregisterRunnerResponse deregisterRunner(DeregisterRunnerRequest request) {
    return caller.call(LeaseServiceGrpc.getDeregisterRunnerMethod(), request);
  }
}
