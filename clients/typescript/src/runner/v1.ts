/** Everything of the package pipewright.runner.v1 of the API: types, schemas and services. */
export * from "../gen/pipewright/runner/v1/lease_service_pb.js";
