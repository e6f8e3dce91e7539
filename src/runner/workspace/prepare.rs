use std::{path::Path, sync::Arc};

use super::{
    checkout::{self, CheckoutError, Source},
    workspaces::{OpenError, Workspace},
};
use crate::runner::{
    StageWork,
    leases::{Cause, Failure, HeldLease},
    process::Launcher,
};

/// The workspace of a stage's job, with the job's commit checked out.
pub(in crate::runner) async fn prepare(
    lease: &HeldLease,
    launcher: Launcher<'_>,
    work: &StageWork,
    opened: Result<Arc<Workspace>, OpenError>,
) -> Result<Arc<Workspace>, Failure> {
    let workspace = opened.map_err(|error| match error {
        OpenError::Gone => Failure::Returned,
        OpenError::Io(error) => Failure::Runner(format!(
            "could not create a workspace: {error}; check the runner's workspace directory"
        )),
    })?;
    check_out(lease, launcher, work, &workspace).await?;
    Ok(workspace)
}

/// Makes sure that the job's commit is checked out. Once per job: stages that start
/// together wait for the first, and if that fails, each retries.
async fn check_out(
    lease: &HeldLease,
    launcher: Launcher<'_>,
    work: &StageWork,
    workspace: &Workspace,
) -> Result<(), Failure> {
    if work.git_repository.is_empty() || !workspace.is_isolated() {
        return Ok(());
    }
    let mut checked_out = tokio::select! {
        checked_out = workspace.checked_out.lock() => checked_out,
        () = lease.stop.asked() => return Err(stopped(lease)),
    };
    let commit = match checked_out.take() {
        Some(commit) => commit,
        None => obtain(lease, launcher, work, &workspace.source).await?,
    };
    lease.set_commit(checked_out.insert(commit));
    Ok(())
}

/// Checks out the commit that the job runs on into a fresh `directory`.
async fn obtain(
    lease: &HeldLease,
    launcher: Launcher<'_>,
    work: &StageWork,
    directory: &Path,
) -> Result<String, Failure> {
    let fetch = async |source: Source<'_>| {
        checkout::checkout(&source, directory, launcher)
            .await
            .map_err(|error| match error {
                CheckoutError::Stopped => stopped(lease),
                CheckoutError::Failed(message) => Failure::Checkout(message),
            })
    };
    let found = fetch(Source::of(work)).await?;
    let agreed = lease.agree(&found).await.map_err(|error| {
        Failure::Runner(format!("could not report the commit {found}: {error}"))
    })?;
    if agreed == found {
        return Ok(found);
    }
    fetch(Source::commit(&work.git_repository, &agreed)).await
}

fn stopped(lease: &HeldLease) -> Failure {
    // The cause is set before a process is stopped.
    Failure::Stopped(lease.stop.cause().unwrap_or(Cause::Cancelled))
}
