//! One stage, from the lease's confirmation to its completion.

use std::{
    collections::BTreeMap, convert::Infallible, env, ffi::OsString, path::Path, sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;
use tracing::{Instrument, Span, info, warn};

use super::{
    LeaseProof, Leases, Registered, StageWork,
    checkout::{self, CheckoutError, Source},
    completion::{Failure, completion},
    environment::{self, inherited},
    guards::Guards,
    held_lease::HeldLease,
    log::{self, Shipped},
    mask::Masker,
    process::{Ended, Launcher},
    progress,
    stop::Cause,
    workspace::{OpenError, Workspace},
};
use crate::{
    domain::{StageAction, TraceContext},
    supervisor::{Clock, Command},
    telemetry::traces,
};

/// Runs one stage under its lease, on the service's terms. Every way
/// out but a refused or lost lease completes it.
pub(super) async fn run(
    leases: Arc<dyn Leases>,
    guards: &Guards,
    proof: LeaseProof,
    terms: &Registered,
    clock: Clock,
    mut work: StageWork,
    workspace: Result<Arc<Workspace>, OpenError>,
) {
    let span = trace(&mut work);
    supervise(leases, guards, proof, terms, clock, work, workspace)
        .instrument(span)
        .await;
}

/// The span of a stage within the trace that its work tells of. Its command goes on
/// with the span, if somebody collects it.
fn trace(work: &mut StageWork) -> Span {
    let told = |name| work.variables.get(name).map_or("", String::as_str);
    let parent = TraceContext::read(told("TRACEPARENT"), told("TRACESTATE"));
    let job = work.job_id.to_string();
    let span = traces::stage(&job, &work.stage_name, work.attempt, parent.as_ref());
    if let Some(own) = traces::context(&span) {
        let own = [("TRACEPARENT", own.parent()), ("TRACESTATE", own.state())];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        work.variables.extend(own);
    }
    span
}

async fn supervise(
    leases: Arc<dyn Leases>,
    guards: &Guards,
    proof: LeaseProof,
    terms: &Registered,
    clock: Clock,
    work: StageWork,
    workspace: Result<Arc<Workspace>, OpenError>,
) {
    let lease = HeldLease::new(leases, proof, terms, clock);
    // Refused: the stage is another runner's by now, and nothing has been started.
    let Ok(known) = lease.confirm().await else {
        return;
    };
    info!(job.id = %work.job_id, stage = ?work.stage_name, attempt = work.attempt, "stage started");
    let result = tokio::select! {
        result = execute(&lease, guards, &work, workspace) => result,
        never = lease.keep(known) => match never {},
        never = lease.fence() => match never {},
        never = expire(&lease, work.timeout) => match never {},
    };
    if lease.stop.cause() == Some(Cause::LeaseLost) {
        warn!(job.id = %work.job_id, stage = ?work.stage_name, attempt = work.attempt,
            "stage killed, as its lease was lost");
        return;
    }
    let completion = completion(&work, result, lease.commit());
    let outcome = completion.outcome;
    match lease.complete(completion).await {
        Ok(()) => info!(job.id = %work.job_id, stage = ?work.stage_name,
            attempt = work.attempt, ?outcome, "stage ended"),
        Err(reason) => warn!(job.id = %work.job_id, lease.id = %proof.lease_id, %reason,
            "could not report a stage's end"),
    }
}

/// Asks for the end of a stage that has used up its time.
async fn expire(lease: &HeldLease, limit: Duration) -> Infallible {
    tokio::time::sleep(limit).await;
    lease.stop.ask(Cause::TimedOut);
    std::future::pending().await
}

async fn execute(
    lease: &HeldLease,
    guards: &Guards,
    work: &StageWork,
    workspace: Result<Arc<Workspace>, OpenError>,
) -> Result<Ended<Shipped>, Failure> {
    let workspace = workspace.map_err(|error| match error {
        OpenError::Gone => Failure::Returned,
        OpenError::Io(error) => Failure::Runner(format!(
            "could not create a workspace: {error}; check the runner's workspace directory"
        )),
    })?;
    let launcher = Launcher {
        guards,
        stop: &lease.stop,
        deadline: &lease.deadline,
        grace: work.kill_grace,
    };
    check_out(lease, launcher, work, &workspace).await?;
    let directory = workspace
        .start_directory(&work.working_directory)
        .map_err(Failure::Runner)?;
    let StageAction::Command(text) = &work.action;
    let script = workspace
        .write_script(lease.proof.lease_id, text)
        .await
        .map_err(|error| Failure::Runner(format!("could not write the script: {error}")))?;
    if let Some(cause) = lease.stop.cause() {
        return Err(Failure::Stopped(cause));
    }
    // Beside the script: written by the command, so it must not be in its way.
    let progress = script.with_extension("progress");
    let mut environment = environment(work, &workspace, lease.commit());
    environment.insert("PIPEWRIGHT_PROGRESS".into(), progress.clone().into());
    let command = Command {
        program: "/bin/sh".into(),
        // A script of its own: no value is ever pasted into its text.
        args: vec!["-e".into(), script.into()],
        directory,
        environment: environment.into_iter().collect(),
    };
    let masker = masker(&work.secret_variables).await;
    let running = launcher.run(command, |output| log::ship(lease, output, masker));
    let ended = tokio::select! {
        ended = running => ended,
        never = progress::report(lease, &progress) => match never {},
    };
    ended.map_err(|error| Failure::Runner(error.to_string()))
}

/// Sees to it that the job's commit is checked out. Once a job: stages that start
/// together wait for the first, and if that fails, each tries again.
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
    // Who stops a process has named the cause before.
    Failure::Stopped(lease.stop.cause().unwrap_or(Cause::Cancelled))
}

/// All that the command sees; what comes later goes before what comes earlier.
fn environment(
    work: &StageWork,
    workspace: &Workspace,
    commit: Option<&str>,
) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<_, _> = match &workspace.home {
        Some(home) => {
            let home = ("HOME".into(), home.into());
            inherited(environment::COMMAND)
                .into_iter()
                .chain([home])
                .collect()
        }
        None => env::vars_os().collect(),
    };
    let variables = work.variables.iter();
    environment.extend(variables.map(|(name, value)| (name.into(), value.into())));
    let secrets = exposed(&work.secret_variables);
    environment.extend(secrets.map(|(name, value)| (name.into(), value.into())));
    environment.extend(commit.map(|commit| ("PIPEWRIGHT_COMMIT_ID".into(), commit.into())));
    environment
}

/// A masker of the secrets. Made where it keeps nothing else waiting: for long ones
/// that takes a while.
async fn masker(secrets: &BTreeMap<String, SecretString>) -> Masker {
    if secrets.is_empty() {
        return Masker::default();
    }
    let secrets = secrets.clone();
    let made = spawn_blocking(move || Masker::new(exposed(&secrets).map(|(_, value)| value)));
    made.await.expect("making a masker does not panic")
}

fn exposed(secrets: &BTreeMap<String, SecretString>) -> impl Iterator<Item = (&String, &str)> {
    let secrets = secrets.iter();
    secrets.map(|(name, value)| (name, value.expose_secret()))
}
