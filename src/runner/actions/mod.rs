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

/// What the runner offers when it registers: it is given stages of these kinds only.
pub(super) const SUPPORTED: [ActionKind; 1] = [ActionKind::Command];

/// What an action has to work with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// Confirmed; renewed by others while the action runs.
    pub(super) lease: &'a HeldLease,
    pub(super) launcher: Launcher<'a>,
    pub(super) work: &'a StageWork,
    /// With the job's commit checked out.
    pub(super) workspace: &'a Workspace,
}

/// Runs the action of a stage and ships its log. Dropping the future kills what it runs.
///
/// # Errors
/// It was not started, or nothing is known of its end.
pub(super) async fn run(action: &StageAction, context: Context<'_>) -> Result<Ended, Failure> {
    match action {
        StageAction::Command(text) => command::run(text, context).await,
    }
}
