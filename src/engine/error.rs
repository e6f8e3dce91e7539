use std::io;

use crate::{
    auth::Role,
    domain::{JobState, PipelineId, Violation},
    store::StoreError,
};

/// Why the engine refuses a call or could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks rules of its fields.
    #[error("{}", told(.0))]
    Invalid(Vec<Violation>),
    /// The request id was used for another request.
    #[error("request_id was already used for a different request; use a new UUID")]
    RequestIdReused,
    /// There is no such project, or none that the caller may see.
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
    /// The pipeline has no such revision, or it is no longer kept.
    #[error("pipeline {id} has no revision {revision}")]
    RevisionNotFound {
        /// The pipeline.
        id: String,
        /// What was asked for.
        revision: i64,
    },
    /// There is no such job.
    #[error("job {0} was not found; it may have expired, or the server has restarted")]
    JobNotFound(String),
    /// There is no such runner.
    #[error("runner {0} was not found; it may be gone for long, or the server has restarted")]
    RunnerNotFound(String),
    /// The job has no such stage, or the stage no such attempt.
    #[error("job {job} has no {what}")]
    StageNotFound {
        /// The job.
        job: String,
        /// What was asked for.
        what: String,
    },
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
    EtagMismatch {
        /// The pipeline.
        id: String,
        /// Its etag.
        current: String,
    },
    /// The pipeline has active jobs.
    #[error("pipeline {id} has active jobs ({active}); cancel them first, or force the deletion")]
    PipelineActive {
        /// The pipeline.
        id: String,
        /// How many.
        active: usize,
    },
    /// The job has ended in a way that leaves nothing to cancel.
    #[error("job {id} has already ended: it {}", told_state(*state))]
    JobEnded {
        /// The job.
        id: String,
        /// How.
        state: JobState,
    },
    /// Only an ended job can be retried.
    #[error("job {0} has not ended; cancel it or wait for its end")]
    JobNotEnded(String),
    /// The pipeline of the job is gone.
    #[error("the pipeline of job {0} was deleted")]
    PipelineDeleted(String),
    /// No stage is left to run.
    #[error("job {0} has no stage left to run; retry all stages instead")]
    NothingToRetry(String),
    /// The pipeline has too many active jobs.
    #[error(
        "pipeline {id} has {limit} active jobs, the most that are allowed (max_active_jobs); wait for one to end"
    )]
    TooManyActiveJobs {
        /// The pipeline.
        id: String,
        /// The limit.
        limit: usize,
    },
    /// Too many stages wait for runners.
    #[error(
        "{limit} stages wait for a runner, the most that are allowed (max_queued_stages); try again later"
    )]
    QueueFull {
        /// The limit.
        limit: usize,
    },
    /// The log is shorter.
    #[error("offset {offset} is past the log's present end at {size}")]
    OffsetPastEnd {
        /// What was asked for.
        offset: i64,
        /// The log's size.
        size: u64,
    },
    /// The project exists.
    #[error("project '{0}' already exists")]
    ProjectExists(String),
    /// The project has pipelines, or jobs that are kept.
    #[error(
        "project '{name}' is not empty: it has {pipelines} pipelines, or jobs that are still kept; delete the pipelines first, their jobs go in time"
    )]
    ProjectNotEmpty {
        /// The project.
        name: String,
        /// Its pipelines.
        pipelines: usize,
    },
    /// The project cannot be deleted.
    #[error("project '{0}' is always there and cannot be deleted")]
    ProjectPermanent(String),
    /// The project has changed since the caller read it.
    #[error("the project has changed: its etag is '{current}' now; read it again")]
    ProjectEtagMismatch {
        /// The project.
        name: String,
        /// Its etag.
        current: String,
    },
    /// Others changed the same thing again and again.
    #[error("others changed the same thing at the same time, again and again; try again")]
    Contended,
    /// The service is stopping.
    #[error("the server is stopping; try again, or resume, in a moment")]
    Stopping,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log could not be read.
    #[error("the log could not be read: {0}")]
    Log(#[from] io::Error),
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
fn told(violations: &[Violation]) -> String {
    let first = violations
        .first()
        .map(|violation| format!("{}: {}", violation.field, violation.description));
    match (first, violations.len()) {
        (Some(first), 1) => first,
        (Some(first), number) => format!("{first} (and {} more)", number - 1),
        (None, _) => "the request is not valid".to_owned(),
    }
}

fn told_state(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "was cancelled",
        JobState::Queued | JobState::Running | JobState::Cancelling => "is still active",
    }
}
