package io.pipewright.client;

import io.pipewright.v1.CreatePipelineRequest;
import io.pipewright.v1.CreatePipelineResponse;
import io.pipewright.v1.DeletePipelineRequest;
import io.pipewright.v1.DeletePipelineResponse;
import io.pipewright.v1.GetPipelineRequest;
import io.pipewright.v1.GetPipelineResponse;
import io.pipewright.v1.ListPipelinesRequest;
import io.pipewright.v1.ListPipelinesResponse;
import io.pipewright.v1.PipelineServiceGrpc;
import io.pipewright.v1.TriggerPipelineRequest;
import io.pipewright.v1.TriggerPipelineResponse;
import io.pipewright.v1.UpdatePipelineRequest;
import io.pipewright.v1.UpdatePipelineResponse;
import java.time.Duration;

/**
 * Manages pipelines and starts their jobs.
 *
 * <p>Each call is limited to 30 s unless {@link #withTimeout} sets another limit, and is tried up
 * to five times while the service is unavailable.
 */
public final class Pipelines {
  private final Caller caller;

  Pipelines(Caller caller) {
    this.caller = caller;
  }

  /**
   * The same calls with another time limit for each, including its retries.
   *
   * @throws IllegalArgumentException if the limit is not positive
   */
  public Pipelines withTimeout(Duration limit) {
    return new Pipelines(caller.withLimit(limit));
  }

  /**
   * Creates a pipeline. ALREADY_EXISTS when the project has one of that name.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public CreatePipelineResponse createPipeline(CreatePipelineRequest request) {
    return caller.call(PipelineServiceGrpc.getCreatePipelineMethod(), request);
  }

  /**
   * Gets a pipeline as it is, or as it was at a revision.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public GetPipelineResponse getPipeline(GetPipelineRequest request) {
    return caller.call(PipelineServiceGrpc.getGetPipelineMethod(), request);
  }

  /**
   * Lists pipelines, newest first.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public ListPipelinesResponse listPipelines(ListPipelinesRequest request) {
    return caller.call(PipelineServiceGrpc.getListPipelinesMethod(), request);
  }

  /**
   * Changes a pipeline. ABORTED when the etag sent is no longer the pipeline's.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public UpdatePipelineResponse updatePipeline(UpdatePipelineRequest request) {
    return caller.call(PipelineServiceGrpc.getUpdatePipelineMethod(), request);
  }

  /**
   * Deletes a pipeline. FAILED_PRECONDITION while a job is active, unless forced.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public DeletePipelineResponse deletePipeline(DeletePipelineRequest request) {
    return caller.call(PipelineServiceGrpc.getDeletePipelineMethod(), request);
  }

  /**
   * Starts a job and returns immediately, before any stage has run.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public TriggerPipelineResponse triggerPipeline(TriggerPipelineRequest request) {
    return caller.call(PipelineServiceGrpc.getTriggerPipelineMethod(), request);
  }
}
