//! What the process tells of itself: logs, and numbers.

mod logs;
pub mod metrics;

pub use logs::init;
