package io.pipewright.client;

import io.pipewright.runner.v1.AcquireLeaseRequest;
import io.pipewright.runner.v1.AcquireLeaseResponse;
import io.pipewright.runner.v1.AppendLogRequest;
import io.pipewright.runner.v1.AppendLogResponse;
import io.pipewright.runner.v1.CompleteLeaseRequest;
import io.pipewright.runner.v1.CompleteLeaseResponse;
import io.pipewright.runner.v1.LeaseServiceGrpc;
import io.pipewright.runner.v1.RegisterRunnerRequest;
import io.pipewright.runner.v1.RegisterRunnerResponse;
import io.pipewright.runner.v1.RenewLeaseRequest;
import io.pipewright.runner.v1.RenewLeaseResponse;
import java.time.Duration;

/**
 * What a runner calls to get stages under leases.
 *
 * <p>A lease has rules of its own about trying again, so these calls are made once and as they are
 * given, {@code request_id} too. They have no limit of time unless {@link #withTimeout} says so, as
 * the service holds some on purpose.
 */
public final class Leases {
  private final Caller caller;

  Leases(Caller caller) {
    this.caller = caller;
  }

  /**
   * The same calls with a limit for each.
   *
   * @throws IllegalArgumentException if the limit is not more than nothing
   */
  public Leases withTimeout(Duration limit) {
    return new Leases(caller.withLimit(limit));
  }

  /**
   * Announces a runner process. The same {@code session_id} gets the same answer.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public RegisterRunnerResponse registerRunner(RegisterRunnerRequest request) {
    return caller.call(LeaseServiceGrpc.getRegisterRunnerMethod(), request);
  }

  /**
   * Waits for a stage. An answer without a lease means: nothing yet, ask again.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public AcquireLeaseResponse acquireLease(AcquireLeaseRequest request) {
    return caller.call(LeaseServiceGrpc.getAcquireLeaseMethod(), request);
  }

  /**
   * Confirms a lease and keeps it, reports progress, and learns of a cancel.
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
}
