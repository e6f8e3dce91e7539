//! The words of a lease: what a runner and whoever hands out the work tell each other.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use secrecy::SecretString;
use uuid::Uuid;

use super::{FencingToken, JobId, LeaseId, Outcome, RunnerId, SessionId, StageAction};

mod matching;
mod rank;

pub use matching::{Bindings, Candidate, Demand, Offer, has_labels, waits_for, workspace_owner};
pub use rank::QueueRank;

/// What a runner says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// For people.
    pub display_name: String,
    /// A stage is given only to a runner that offers what it asks for.
    pub offer: Arc<Offer>,
    /// Stages that it runs at once, at least 1.
    pub capacity: usize,
    /// Version of its program.
    pub version: String,
    /// This process.
    pub session_id: SessionId,
    /// Its id from an earlier registration; none for a new runner.
    pub runner_id: Option<RunnerId>,
    /// Principal that registers it, as the service knows it; a runner leaves it empty.
    pub owner: String,
}

/// Answer to a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The runner's id from now on.
    pub runner_id: RunnerId,
    /// Lifetime of a lease.
    pub lease_ttl: Duration,
    /// Most bytes that one append may carry.
    pub max_log_chunk: usize,
}

/// A runner asks for work.
#[derive(Clone, Debug)]
pub struct WorkRequest {
    /// Who asks.
    pub runner_id: RunnerId,
    /// Which process of it.
    pub session_id: SessionId,
    /// Tells a repeated request from a new one.
    pub request_id: Uuid,
    /// How long to wait for work.
    pub max_wait: Duration,
    /// Jobs of which the runner keeps a workspace.
    pub held_jobs: Vec<JobId>,
    /// It takes only stages of jobs that it has begun, from now on.
    pub leaving: bool,
}

/// Answer to a request for work.
#[derive(Debug, Default)]
pub struct Acquired {
    /// None: nothing to do yet, ask again.
    pub lease: Option<Lease>,
    /// Those of the held jobs that are over: their workspaces can go.
    pub ended_jobs: Vec<JobId>,
}

/// The right to run one stage run.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Goes with every write.
    pub proof: LeaseProof,
    /// Time left, counted from when the request was sent.
    pub ttl: Duration,
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
    /// Attempt at the stage, from 1.
    pub attempt: u32,
    /// What the runner does.
    pub action: StageAction,
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
    /// More of the environment; kept out of everything else.
    pub secret_variables: BTreeMap<String, SecretString>,
    /// Directory relative to the workspace in which the command starts; empty
    /// for the workspace itself.
    pub working_directory: String,
    /// An earlier stage of the job ran in this runner's workspace of the job; if that
    /// is gone, the lease ends as [`Outcome::Returned`].
    pub workspace_exists: bool,
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

/// Answer to a renewal.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// Time left, counted from when the call was sent.
    pub ttl: Duration,
    /// What to do.
    pub directive: Directive,
    /// The job's commit once a runner has reported one; the first report wins.
    pub commit_id: Option<String>,
}

/// Bytes for a log.
#[derive(Clone, Debug)]
pub struct LogAppend {
    /// Offset of the first byte of `data`.
    pub offset: u64,
    /// Bytes just before `offset` that the runner had to drop; they become a gap.
    pub dropped: u64,
    /// At most [`Registered::max_log_chunk`] bytes; may be empty.
    pub data: Bytes,
}

/// Answer to bytes for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Everything below is stored, or known to be missing.
    pub committed: u64,
    /// What to do.
    pub directive: Directive,
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
    /// The runner gave up sending the rest of the log.
    pub log_incomplete: bool,
    /// Commit that was checked out, if any.
    pub commit_id: Option<String>,
}
