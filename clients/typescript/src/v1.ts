/** Everything of the package pipewright.v1 of the API: types, schemas and services. */
export * from "./gen/pipewright/v1/admin_service_pb.js";
export * from "./gen/pipewright/v1/job_pb.js";
export * from "./gen/pipewright/v1/job_service_pb.js";
export * from "./gen/pipewright/v1/pipeline_pb.js";
export * from "./gen/pipewright/v1/pipeline_service_pb.js";
export * from "./gen/pipewright/v1/project_service_pb.js";
export * from "./gen/pipewright/v1/runner_service_pb.js";
