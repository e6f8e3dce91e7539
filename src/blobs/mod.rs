//! Storage of bytes: the logs of stages.

pub mod logs;
