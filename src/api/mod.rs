//! The gRPC services: parse, check, call the engine, answer.

mod access;
mod audit;
mod auth;
mod deadline;
mod ending;
#[cfg(fuzzing)]
pub mod fuzzing;
mod job_service;
mod lease_service;
mod lease_status;
mod limited;
mod mask;
mod message_limit;
mod observe;
mod page;
mod pipeline_service;
mod quota;
mod reason;
mod receipt;
mod refusals;
mod request;
mod runner_service;
mod status;
mod streams;

pub use access::needs;
pub use audit::AuditLayer;
pub use auth::{AuthLayer, presented};
pub use deadline::DeadlineLayer;
pub use job_service::Jobs;
pub use lease_service::LeaseCalls;
pub use limited::refused_in_front;
pub use message_limit::MessageLimitLayer;
pub use observe::ObserveLayer;
pub use pipeline_service::Pipelines;
pub use quota::QuotaLayer;
pub use reason::Reason;
pub use receipt::ReceiptLayer;
pub use refusals::RefusalLayer;
pub use runner_service::Runners;
