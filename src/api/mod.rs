//! The gRPC services: parse, check, call the engine, answer.

mod auth;
mod job_service;
mod mask;
mod page;
mod pipeline_service;
mod refusals;
mod request;
mod status;
mod streams;

pub use auth::AuthLayer;
pub use job_service::Jobs;
pub use pipeline_service::Pipelines;
pub use refusals::RefusalLayer;
