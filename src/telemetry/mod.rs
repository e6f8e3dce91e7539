//! Telemetry: logs, metrics and traces.

mod lines;
mod log_throttle;
mod logs;
pub(crate) mod metrics;
pub mod traces;

pub(crate) use log_throttle::LogThrottle;
pub use logs::{Telemetry, init};
