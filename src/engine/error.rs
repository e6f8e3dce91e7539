use std::io;

use crate::{
    auth::Role,
    domain::{JobState, PipelineId, Violation, cut},
    store::{Account, OverLimit, StoreError, StoreErrorKind},
};

/// Maximum bytes of a name within a message.
const MAX_NAME: usize = 48;

/// Why the engine refuses a call, or failed to do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request violate rules.
    #[error("{}", describe_violations(.0))]
    Invalid(Vec<Violation>),
    #[error("request_id was already used for a different request; use a new UUID")]
    RequestIdReused,
    /// The project does not exist, or the caller has no role in it.
    #[error("project '{0}' was not found, or you have no role in it")]
    ProjectNotFound(String),
    /// The caller has a lesser role than the call needs.
    #[error("this needs the role {needed} in project '{project}'{}", why_needed(*needed))]
    RoleLacking {
        /// The role.
        needed: Role,
        /// The project.
        project: String,
    },
    /// There is no such pipeline.
    #[error("pipeline {0} was not found")]
    PipelineNotFound(String),
    /// The pipeline has no such revision, or the revision is no longer stored.
    #[error("pipeline {id} has no revision {revision}")]
    RevisionNotFound { id: String, revision: i64 },
    #[error("job {0} was not found; it may have expired, or the server has restarted")]
    JobNotFound(String),
    #[error("runner {0} was not found; it may be gone for long, or the server has restarted")]
    RunnerNotFound(String),
    /// The job has no such stage, or the stage no such attempt.
    #[error("job {job} has no {what}")]
    StageNotFound { job: String, what: String },
    /// Another pipeline of the project has the name.
    #[error("project '{project}' already has a pipeline named '{name}'")]
    NameTaken {
        /// The project.
        project: String,
        /// The name.
        name: String,
        /// That pipeline.
        owner: PipelineId,
    },
    /// The pipeline has changed since the caller read it.
    #[error("the pipeline has changed: its etag is '{current}' now; read it again")]
    EtagMismatch { id: String, current: String },
    #[error("pipeline {id} has active jobs ({active}); cancel them first, or force the deletion")]
    PipelineActive { id: String, active: usize },
    /// The job has ended, so there is nothing to cancel.
    #[error("job {id} has already ended: it {}", describe_end(*state))]
    JobEnded { id: String, state: JobState },
    /// Only an ended job can be retried.
    #[error("job {0} has not ended; cancel it or wait for its end")]
    JobNotEnded(String),
    #[error("the pipeline of job {0} was deleted")]
    PipelineDeleted(String),
    #[error("job {0} has no stage left to run; retry all stages instead")]
    NothingToRetry(String),
    #[error(
        "pipeline {id} has {limit} active jobs, the most that are allowed (max_active_jobs); wait for one to end"
    )]
    TooManyActiveJobs { id: String, limit: usize },
    /// Too many stages wait for runners.
    #[error(
        "{limit} stages wait for a runner, the most that are allowed (max_queued_stages); try again later"
    )]
    QueueFull { limit: usize },
    /// A memory budget is used up, and evicting what may go does not free enough.
    #[error("{}", describe_over(.0))]
    OverBudget(OverLimit),
    /// The offset is past the end of the log.
    #[error("offset {offset} is past the log's present end at {size}")]
    OffsetPastEnd { offset: i64, size: u64 },
    #[error("project '{0}' already exists")]
    ProjectExists(String),
    /// The project has pipelines, or jobs that are still stored.
    #[error(
        "project '{name}' is not empty: it has {pipelines} pipelines, or jobs that are still kept; delete the pipelines first, their jobs go in time"
    )]
    ProjectNotEmpty { name: String, pipelines: usize },
    #[error("project '{0}' is always there and cannot be deleted")]
    ProjectPermanent(String),
    /// The project has changed since the caller read it.
    #[error("the project has changed: its etag is '{current}' now; read it again")]
    ProjectEtagMismatch { name: String, current: String },
    /// The store is durable and has no encryption key.
    #[error(
        "secrets cannot be stored, because the service has no encryption key: create one with \
         `pipewright key generate --out FILE`, and start the service with --encryption-key-file \
         FILE"
    )]
    EncryptionKeyRequired,
    /// Repeated version conflicts.
    #[error("others changed the same thing at the same time, again and again; try again")]
    Contended,
    #[error("the server is stopping; try again, or resume, in a moment")]
    Stopping,
    /// The disk is full, or almost.
    #[error("{0}; reads go on, and writes succeed again once there is space")]
    StorageFull(String),
    #[error(transparent)]
    Store(StoreError),
    #[error("the log could not be read: {0}")]
    Log(#[from] io::Error),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::Full => Self::StorageFull(error.message),
            StoreErrorKind::Transient | StoreErrorKind::Permanent => Self::Store(error),
        }
    }
}

/// No method needs this role, but for jobs of some pipelines.
fn why_needed(role: Role) -> &'static str {
    if role == Role::Deployer {
        ", because the job has a stage that deploys"
    } else {
        ""
    }
}

/// The first violation in full: many clients show nothing but the message.
fn describe_violations(violations: &[Violation]) -> String {
    let first = violations
        .first()
        .map(|violation| format!("{}: {}", violation.field, violation.description));
    match (first, violations.len()) {
        (Some(first), 1) => first,
        (Some(first), number) => format!("{first} (and {} more)", number - 1),
        (None, _) => "the request is not valid".to_owned(),
    }
}

fn describe_end(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "was cancelled",
        JobState::Queued | JobState::Running | JobState::Cancelling => "is still active",
    }
}

/// Which budget it is, how full, and what to do.
fn describe_over(over: &OverLimit) -> String {
    let OverLimit { limit, used, added } = over;
    let (whose, setting, remedy) = match &limit.account {
        Account::Store => (
            "the whole service".to_owned(),
            "max_memory",
            "cancel queued jobs or delete pipelines",
        ),
        Account::Project(name) => (
            format!("project '{}'", cut(name, MAX_NAME)),
            "max_project_memory",
            "cancel queued jobs or delete pipelines of it",
        ),
        Account::Principal(name) => (
            format!("caller '{}'", cut(name, MAX_NAME)),
            "max_caller_memory",
            "cancel its queued jobs or delete its pipelines",
        ),
    };
    format!(
        "no memory is left for {whose}: {used} of {} bytes are used and {added} more are needed ({setting}); {remedy}",
        limit.bytes
    )
}
