//! The directories of jobs: made, filled with the job's commit, and removed.

mod checkout;
mod git;
mod git_error;
mod home;
mod prepare;
mod workspaces;

#[cfg(fuzzing)]
pub(super) use checkout::Source;
pub(super) use home::Home;
pub(super) use prepare::prepare;
pub(super) use workspaces::{OpenError, Workspace, Workspaces};
