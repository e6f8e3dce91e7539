use std::{sync::Arc, time::SystemTime};

use crate::domain::{
    Event, FencingToken, Job, JobFacts, JobId, LeaseId, LostWorkspace, Pipeline, PipelineId,
};

use super::{DueWrite, KeptAnswer, Limit, RecordWrite, RequestKey, WorkKey};

/// The changes of one decision. Each write names the scope that it changes and the
/// version of it that the decision was based on. A batch may change any number of
/// scopes.
#[derive(Debug, Default)]
pub struct Batch {
    /// Identifies the batch for [`was_committed`](super::Store::was_committed).
    pub id: BatchId,
    /// The changes. No scope is written twice, except when the leases of a job end.
    pub writes: Vec<Write>,
    /// Conditions on scopes that the batch does not write.
    pub preconditions: Vec<Precondition>,
    /// The idempotency record to store with the batch.
    pub answer: Option<(RequestKey, KeptAnswer)>,
    /// Limits of bytes that the batch must keep to if it adds to their accounts. Batches that
    /// are committed at the same time may exceed a limit by what they add together.
    pub limits: Vec<Limit>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub u128);

/// A unit with a version of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A pipeline, including the count of its jobs.
    Pipeline(PipelineId),
    /// A job; its version is its last sequence.
    Job(JobId),
    /// A lease; its version is its fencing token and its state.
    Lease(LeaseId),
    /// A record: collection and key.
    Record(&'static str, String),
    /// Due work; its version is the token of its claim.
    Work(WorkKey),
}

#[derive(Debug)]
pub enum Write {
    Pipeline(PipelineWrite),
    /// New events of a job.
    Job(JobWrite),
    Lease(LeaseWrite),
    Record(RecordWrite),
    Due(DueWrite),
    /// Facts of an ended job, for statistics. Written with the job's last event.
    Facts(Arc<JobFacts>),
    /// Deletes a job and its events. The job must be absent or ended.
    RemoveJob(JobId),
}

#[derive(Debug)]
pub enum PipelineWrite {
    Create(Arc<Pipeline>),
    /// The next revision, if the pipeline still has this version.
    Revise(Arc<Pipeline>, u64),
    /// A new job is among the batch's writes, if the pipeline still has this version.
    /// Its number is the pipeline's next one.
    AddJob(PipelineId, u64),
    /// Deletes the pipeline, if it still has this version.
    Delete(PipelineId, u64),
    /// Its revisions before this one are kept no longer than jobs that run them.
    ForgetRevisions(PipelineId, i64),
}

#[derive(Debug)]
pub struct JobWrite {
    /// The job after the events.
    pub job: Arc<Job>,
    /// At least one. The sequence of the first one gives the expected version.
    pub events: Vec<Event>,
}

/// A change of a lease. Except for the last variant it is a conflict if the lease
/// is not live under this token, or if its state does not permit the change.
#[derive(Debug)]
pub enum LeaseWrite {
    /// The runner started the stage: [`LeaseState::Offered`](super::LeaseState) becomes
    /// confirmed; a lease that is already confirmed stays so. From now on the runner
    /// holds the job's workspace.
    Confirm {
        id: LeaseId,
        token: FencingToken,
        /// When the lease becomes void unless it is renewed. Never moves back.
        expires: SystemTime,
        /// The service's own deadline for the stage. Renewals do not extend it, and the
        /// first value counts.
        ends_by: SystemTime,
    },
    /// The normal end: the slot is free, and the runner may report the end again until
    /// `remember_until`.
    End {
        id: LeaseId,
        token: FencingToken,
        /// When the row is removed.
        remember_until: SystemTime,
        /// The stage was not started: for its job the lease is no longer live.
        is_returned: bool,
    },
    /// A void lease is settled: the row is removed.
    Settle { id: LeaseId, token: FencingToken },
    /// The workspace of an active job is gone: the runner's binding is removed, and the
    /// loss is kept as long as the job is active. Does nothing if the job is not
    /// active.
    LoseWorkspace { job_id: JobId, lost: LostWorkspace },
}

/// A condition on a scope that the batch does not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The record has this version; 0 means that it does not exist.
    RecordVersion {
        collection: &'static str,
        key: String,
        version: u64,
    },
    /// The project has no pipeline and no job. Otherwise
    /// [`Conflict`](super::CommitError::Conflict).
    ProjectIsEmpty(String),
}

impl Batch {
    pub fn of(writes: impl IntoIterator<Item = Write>) -> Self {
        Self {
            writes: writes.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Write {
    /// The scope that it changes; `None` for a write without a version.
    pub fn scope(&self) -> Option<Scope> {
        Some(match self {
            Self::Pipeline(
                PipelineWrite::Create(pipeline) | PipelineWrite::Revise(pipeline, _),
            ) => Scope::Pipeline(pipeline.id),
            Self::Pipeline(
                PipelineWrite::AddJob(id, _)
                | PipelineWrite::Delete(id, _)
                | PipelineWrite::ForgetRevisions(id, _),
            ) => Scope::Pipeline(*id),
            Self::Job(JobWrite { job, .. }) => Scope::Job(job.id),
            Self::RemoveJob(id) => Scope::Job(*id),
            Self::Lease(
                LeaseWrite::Confirm { id, .. }
                | LeaseWrite::End { id, .. }
                | LeaseWrite::Settle { id, .. },
            ) => Scope::Lease(*id),
            Self::Record(write) => Scope::Record(write.collection(), write.key().to_owned()),
            Self::Due(write) => Scope::Work(write.key().clone()),
            Self::Lease(LeaseWrite::LoseWorkspace { .. }) | Self::Facts(_) => return None,
        })
    }
}
