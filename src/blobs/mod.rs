//! What is kept as bytes: the logs of stages.

pub mod logs;
