//! Pipelines and jobs as values and pure functions.
//!
//! Nothing here awaits, reads a clock, touches a file or knows protobuf: time
//! and ids come in as arguments, effects go out as values.
#![warn(clippy::wildcard_enum_match_arm)]

mod ids;
mod outcome;

pub use ids::{FencingToken, JobId, LeaseId, PipelineId, RunnerId};
pub use outcome::Outcome;
