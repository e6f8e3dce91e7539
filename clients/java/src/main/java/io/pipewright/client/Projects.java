package io.pipewright.client;

import io.pipewright.v1.CreateProjectRequest;
import io.pipewright.v1.CreateProjectResponse;
import io.pipewright.v1.DeleteProjectRequest;
import io.pipewright.v1.DeleteProjectResponse;
import io.pipewright.v1.GetProjectRequest;
import io.pipewright.v1.GetProjectResponse;
import io.pipewright.v1.ListProjectsRequest;
import io.pipewright.v1.ListProjectsResponse;
import io.pipewright.v1.ProjectServiceGrpc;
import io.pipewright.v1.UpdateProjectRequest;
import io.pipewright.v1.UpdateProjectResponse;
import java.time.Duration;

/**
 * Manages projects, which own pipelines.
 *
 * <p>Each call is limited to 30 s unless {@link #withTimeout} sets another limit, and is tried up
 * to five times while the service is unavailable.
 */
public final class Projects {
  private final Caller caller;

  Projects(Caller caller) {
    this.caller = caller;
  }

  /**
   * The same calls with another time limit for each, including its retries.
   *
   * @throws IllegalArgumentException if the limit is not positive
   */
  public Projects withTimeout(Duration limit) {
    return new Projects(caller.withLimit(limit));
  }

  /**
   * Creates a project. ALREADY_EXISTS when there is one of that name.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public CreateProjectResponse createProject(CreateProjectRequest request) {
    return caller.call(ProjectServiceGrpc.getCreateProjectMethod(), request);
  }

  /**
   * Gets a project.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public GetProjectResponse getProject(GetProjectRequest request) {
    return caller.call(ProjectServiceGrpc.getGetProjectMethod(), request);
  }

  /**
   * Lists projects that the caller has a role in, in the order of their names.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public ListProjectsResponse listProjects(ListProjectsRequest request) {
    return caller.call(ProjectServiceGrpc.getListProjectsMethod(), request);
  }

  /**
   * Changes a project. ABORTED when the etag sent is no longer the project's.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public UpdateProjectResponse updateProject(UpdateProjectRequest request) {
    return caller.call(ProjectServiceGrpc.getUpdateProjectMethod(), request);
  }

  /**
   * Deletes an empty project. FAILED_PRECONDITION while it has pipelines or jobs.
   *
   * @throws PipewrightException if the service refuses it or cannot be reached
   */
  public DeleteProjectResponse deleteProject(DeleteProjectRequest request) {
    return caller.call(ProjectServiceGrpc.getDeleteProjectMethod(), request);
  }
}
