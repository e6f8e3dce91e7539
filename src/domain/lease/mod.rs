//! The messages between a runner and the dispatcher of leases.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use secrecy::SecretString;
use uuid::Uuid;

use super::{FencingToken, JobId, LeaseId, Outcome, RunnerId, SessionId, StageAction};

mod matching;
mod rank;

pub use matching::{Bindings, Candidate, Demand, Offer, has_labels, waits_for, workspace_owner};
pub use rank::QueueRank;

/// A runner's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub display_name: String,
    pub offer: Arc<Offer>,
    /// Stages that it runs concurrently, at least 1.
    pub capacity: usize,
    /// Version of its program.
    pub version: String,
    /// Identifies the runner's process.
    pub session_id: SessionId,
    /// Its id from an earlier registration; none for a new runner.
    pub runner_id: Option<RunnerId>,
    /// Principal that registers it, as the service knows it; a runner leaves it empty.
    pub owner: String,
}

/// Response to a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    pub runner_id: RunnerId,
    /// Lifetime of a lease.
    pub lease_ttl: Duration,
    /// Most bytes that one append may carry.
    pub max_log_chunk: usize,
}

/// A runner's request for work.
#[derive(Clone, Debug)]
pub struct WorkRequest {
    pub runner_id: RunnerId,
    pub session_id: SessionId,
    /// The idempotency key: a repeated request has the same id.
    pub request_id: Uuid,
    /// How long the call may wait for work.
    pub max_wait: Duration,
    /// Jobs of which the runner has a workspace.
    pub held_jobs: Vec<JobId>,
    /// From now on, the runner takes only stages of jobs that it has begun.
    pub leaving: bool,
}

/// Response to a request for work.
#[derive(Debug, Default)]
pub struct Acquired {
    /// None if there is no work yet; the runner asks again.
    pub lease: Option<Lease>,
    /// The held jobs that have ended: their workspaces can be removed.
    pub ended_jobs: Vec<JobId>,
}

/// The right to run one stage run.
#[derive(Clone, Debug)]
pub struct Lease {
    pub proof: LeaseProof,
    /// Remaining time, counted from when the request was sent.
    pub ttl: Duration,
    pub work: StageWork,
}

/// Authorizes the writes of a lease's holder. Every write carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseProof {
    pub lease_id: LeaseId,
    pub token: FencingToken,
}

/// The work of a lease.
#[derive(Clone, Debug)]
pub struct StageWork {
    pub job_id: JobId,
    /// Any text of 1 to 64 characters, so it must never be part of a path.
    pub stage_name: String,
    /// From 1.
    pub attempt: u32,
    pub action: StageAction,
    /// Wall-clock limit of the attempt, checkout included.
    pub timeout: Duration,
    /// Time between SIGTERM and SIGKILL.
    pub kill_grace: Duration,
    /// Repository to check out; empty for none.
    pub git_repository: String,
    /// Ref to check out if `commit_id` is empty; empty for the remote's HEAD.
    pub git_ref: String,
    /// Commit to check out, which an earlier stage resolved; empty for none yet.
    pub commit_id: String,
    /// Environment of the command. It includes `CI` and `PIPEWRIGHT_*`, except
    /// `PIPEWRIGHT_COMMIT_ID` and `PIPEWRIGHT_PROGRESS`, which the runner adds.
    pub variables: BTreeMap<String, String>,
    /// Secret part of the environment; never shown.
    pub secret_variables: BTreeMap<String, SecretString>,
    /// Directory in which the command starts, relative to the workspace; empty for the
    /// workspace itself.
    pub working_directory: String,
    /// An earlier stage of the job ran in this runner's workspace of the job. If the
    /// workspace is lost, the runner completes the lease as [`Outcome::Returned`].
    pub workspace_exists: bool,
}

/// The service's instruction to the holder of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    Continue,
    /// Stop the stage, then complete the lease as [`Outcome::Cancelled`].
    Cancel,
}

/// A runner's report on a running stage; none means no change.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Commit that was checked out.
    pub commit_id: Option<String>,
    /// 0 to 100.
    pub progress_percent: Option<u8>,
}

/// Response to a renewal.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// Remaining time, counted from when the call was sent.
    pub ttl: Duration,
    pub directive: Directive,
    /// The job's commit once a runner has reported one; the first report wins.
    pub commit_id: Option<String>,
}

/// Bytes to append to a log.
#[derive(Clone, Debug)]
pub struct LogAppend {
    /// Offset of the first byte of `data`.
    pub offset: u64,
    /// Bytes just before `offset` that the runner had to drop; they become a gap.
    pub dropped: u64,
    /// At most [`Registered::max_log_chunk`] bytes; may be empty.
    pub data: Bytes,
}

/// Response to a log append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// All bytes below this offset are stored, or known to be missing.
    pub committed: u64,
    pub directive: Directive,
}

/// The result of a stage.
#[derive(Clone, Debug)]
pub struct Completion {
    pub outcome: Outcome,
    /// Set if the command exited with a status; none on a signal.
    pub exit_code: Option<i32>,
    /// What happened and what to do, at most 2 KiB; empty on success.
    pub message: String,
    /// Size of the whole log in bytes.
    pub log_size: u64,
    /// The runner gave up sending the rest of the log.
    pub log_incomplete: bool,
    /// Commit that was checked out, if any.
    pub commit_id: Option<String>,
}
