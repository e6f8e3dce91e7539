//! What a runner asks of whoever hands out the work.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::domain::{FencingToken, JobId, LeaseId, Outcome, RunnerId};

/// The runner's side of a lease, from registration to the stage's end.
///
/// The engine implements it in process. A lease is the only right to write: all
/// writes carry its [`LeaseProof`], and one that is no longer valid is refused
/// with [`LeaseError::Lost`], which means: kill the stage, do not try again.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Announces a runner.
    async fn register(&self, runner: Registration) -> Result<RunnerId, LeaseError>;

    /// Waits up to `max_wait` for a stage that the runner's labels fit, or until
    /// one of `held_jobs`, whose workspaces the runner keeps, is over.
    async fn acquire(
        &self,
        runner: RunnerId,
        max_wait: Duration,
        held_jobs: &[JobId],
    ) -> Result<Acquired, LeaseError>;

    /// Confirms the lease and reports what is known of the stage. Answers when
    /// the directive is no longer `known`, else after `max_wait`. Two calls may
    /// overlap, one that is held and one that reports. Nothing may be
    /// started before the first call, with a `max_wait` of zero, was answered.
    async fn renew(
        &self,
        proof: LeaseProof,
        report: Report,
        known: Directive,
        max_wait: Duration,
    ) -> Result<Renewed, LeaseError>;

    /// Appends bytes, 256 KiB at most, to the stage's log; answers the log's size. Bytes
    /// below that size are taken as sent again.
    async fn append_log(
        &self,
        proof: LeaseProof,
        offset: u64,
        data: Bytes,
    ) -> Result<u64, LeaseError>;

    /// Ends the lease with the stage's outcome.
    async fn complete(&self, proof: LeaseProof, completion: Completion) -> Result<(), LeaseError>;
}

/// Why the other side refused a runner's call.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The lease or the registration is void: stop the stage.
    #[error("the lease is no longer valid")]
    Lost,
    /// The service is stopping; there will be no more work.
    #[error("the service is stopping")]
    Stopping,
    /// Anything else: the call may be tried again.
    #[error("{0}")]
    Failed(String),
}

/// What a runner offers.
#[derive(Clone, Debug)]
pub struct Registration {
    /// For people.
    pub display_name: String,
    /// A stage is given only to a runner that has all labels that it asks for.
    pub labels: BTreeMap<String, String>,
    /// Stages that it runs at once, at least 1.
    pub capacity: usize,
}

/// Answer to [`Leases::acquire`].
#[derive(Debug, Default)]
pub struct Acquired {
    /// None: nothing to do yet, ask again.
    pub lease: Option<Lease>,
    /// Those of the held jobs that are over: their workspaces can go.
    pub ended_jobs: Vec<JobId>,
}

/// The right to run one stage run.
#[derive(Debug)]
pub struct Lease {
    /// Goes with every write.
    pub proof: LeaseProof,
    /// What to run.
    pub work: StageWork,
}

/// What every write of a runner carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseProof {
    /// The lease.
    pub lease_id: LeaseId,
    /// Its token.
    pub token: FencingToken,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct StageWork {
    /// The job.
    pub job_id: JobId,
    /// The stage's name; any text of 1 to 64 characters, so never part of a path.
    pub stage_name: String,
    /// Position of the stage in its pipeline, from 0.
    pub stage_index: usize,
    /// Attempt at the stage, from 1.
    pub attempt: u32,
    /// Script for `/bin/sh -e`.
    pub command: String,
    /// Wall-clock limit of the attempt, checkout included.
    pub timeout: Duration,
    /// Time between the polite and the sure kill.
    pub kill_grace: Duration,
    /// Repository to check out; empty for none.
    pub git_repository: String,
    /// Ref to check out when `commit_id` is empty; the remote's HEAD when empty.
    pub git_ref: String,
    /// Commit to check out: what an earlier stage resolved; empty for none yet.
    pub commit_id: String,
    /// Environment of the command, `CI` and `PIPEWRIGHT_*` included, but for
    /// `PIPEWRIGHT_COMMIT_ID` and `PIPEWRIGHT_PROGRESS`, which the runner adds.
    pub variables: BTreeMap<String, String>,
    /// Directory relative to the workspace in which the command starts; empty
    /// for the workspace itself.
    pub working_directory: String,
}

/// What the service wants of the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    Continue,
    /// Stop the stage, then complete the lease as [`Outcome::Cancelled`].
    Cancel,
}

/// What a runner tells of a stage that runs; what is none is not told.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Commit that was checked out.
    pub commit_id: Option<String>,
    /// How far the stage is, 0 to 100.
    pub progress_percent: Option<u8>,
}

/// Answer to [`Leases::renew`].
#[derive(Clone, Debug)]
pub struct Renewed {
    /// What to do.
    pub directive: Directive,
    /// The job's commit once a runner has reported one; the first report wins.
    pub commit_id: Option<String>,
}

/// How a stage ended.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Class of the end.
    pub outcome: Outcome,
    /// Set when the command ended by itself with a status; none on a signal.
    pub exit_code: Option<i32>,
    /// For people: what happened and what to do, at most 2 KiB; empty on success.
    pub message: String,
    /// Size of the whole log in bytes.
    pub log_size: u64,
    /// Commit that was checked out, if any.
    pub commit_id: Option<String>,
}
