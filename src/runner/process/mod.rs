//! Commands under their supervisors: how they start, what they see and write, what
//! holds them within bounds, and how they are ended.

pub(super) mod environment;
mod guards;
mod launcher;
mod output;

pub(super) use guards::{Guards, size};
pub(super) use launcher::{Exit, Launcher};
pub(super) use output::Output;
