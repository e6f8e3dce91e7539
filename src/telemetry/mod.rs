//! What the process tells of itself: logs, numbers and traces.

mod logs;
pub(crate) mod metrics;
pub mod traces;

pub use logs::init;
