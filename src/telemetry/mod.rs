//! What the process tells of itself: logs, numbers and traces.

mod logs;
pub(crate) mod metrics;
mod seldom;
pub mod traces;

pub use logs::init;
pub(crate) use seldom::Seldom;
