//! What the process tells of itself: logs, numbers and traces.

mod lines;
mod logs;
pub(crate) mod metrics;
mod seldom;
pub mod traces;

pub use logs::{Telemetry, init};
pub(crate) use seldom::Seldom;
