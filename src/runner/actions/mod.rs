//! What a runner can do in a stage. An action is a folder here, an arm of [`run`] and
//! an entry of [`SUPPORTED`].

mod command;

use super::{
    StageWork,
    leases::{Ended, Failure, HeldLease},
    process::Launcher,
    workspace::Workspace,
};
use crate::domain::{ActionKind, StageAction};

/// Reported when the runner registers: it is assigned stages of these kinds only.
pub(super) const SUPPORTED: [ActionKind; 1] = [ActionKind::Command];

#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// Confirmed; renewed by another task while the action runs.
    pub(super) lease: &'a HeldLease,
    pub(super) launcher: Launcher<'a>,
    pub(super) work: &'a StageWork,
    /// With the job's commit checked out.
    pub(super) workspace: &'a Workspace,
}

/// Runs the action of a stage and ships its log. Dropping the future kills its processes.
///
/// # Errors
/// The action could not be started, or how it ended is unknown.
pub(super) async fn run(action: &StageAction, context: Context<'_>) -> Result<Ended, Failure> {
    match action {
        StageAction::Command(text) => command::run(text, context).await,
    }
}
