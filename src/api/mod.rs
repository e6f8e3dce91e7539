//! The gRPC services and their middleware. A handler parses and validates the request, calls
//! the engine, and encodes the response.

mod access;
mod admin_service;
mod encoded;
#[cfg(fuzzing)]
pub mod fuzzing;
mod job_service;
mod lease_service;
mod lease_status;
mod limited;
mod mask;
mod middleware;
mod page;
mod pipeline_service;
mod project_service;
mod reason;
mod request;
mod runner_service;
mod status;
mod streams;
mod views;

pub use access::needs;
pub use admin_service::Admin;
pub use job_service::Jobs;
pub use lease_service::LeaseCalls;
pub use limited::refused_in_front;
pub use middleware::{Middleware, MiddlewareLimits, RequestBody, ResponseBody, WebText, presented};
pub use pipeline_service::Pipelines;
pub use project_service::Projects;
pub use reason::Reason;
pub use runner_service::Runners;
