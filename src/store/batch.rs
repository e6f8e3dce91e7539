use std::{sync::Arc, time::SystemTime};

use crate::domain::{
    Event, FencingToken, Job, JobFacts, JobId, LeaseId, LostWorkspace, Pipeline, PipelineId,
};

use super::{DueWrite, KeptAnswer, RecordWrite, RequestKey, WorkKey};

/// What one decision changes: each write with the scope that it concerns and the version of
/// it that the decision was based on. A batch may concern any number of scopes.
#[derive(Debug, Default)]
pub struct Batch {
    /// Names the batch, for [`was_committed`](super::Store::was_committed).
    pub id: BatchId,
    /// The changes. No scope is written twice, but for the ends of a job's leases.
    pub writes: Vec<Write>,
    /// What else must hold, of scopes that are not written.
    pub preconditions: Vec<Precondition>,
    /// What to keep for the call's request id.
    pub answer: Option<(RequestKey, KeptAnswer)>,
}

/// Names a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub u128);

/// What has a version of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A pipeline with the count of its jobs.
    Pipeline(PipelineId),
    /// A job: its version is its last sequence.
    Job(JobId),
    /// A lease: its version is its fencing token and its state.
    Lease(LeaseId),
    /// A record of a collection.
    Record(&'static str, String),
    /// Due work: its version is the token of its claim.
    Work(WorkKey),
}

/// One change.
#[derive(Debug)]
pub enum Write {
    /// Of a pipeline.
    Pipeline(PipelineWrite),
    /// New events of a job.
    Job(JobWrite),
    /// Of a lease.
    Lease(LeaseWrite),
    /// Of a record.
    Record(RecordWrite),
    /// Of due work.
    Due(DueWrite),
    /// What is kept of an ended job for statistics. Written with the job's last event.
    Facts(Arc<JobFacts>),
    /// Forgets an ended job, with its events. It is absent or ended.
    RemoveJob(JobId),
}

/// A change of a pipeline.
#[derive(Debug)]
pub enum PipelineWrite {
    /// A new pipeline.
    Create(Arc<Pipeline>),
    /// Its next revision, if it still has this version.
    Revise(Arc<Pipeline>, u64),
    /// A new job is among the batch's writes, if the pipeline still has this version. Its
    /// number is the next one of the pipeline.
    AddJob(PipelineId, u64),
    /// It goes, if it still has this version.
    Delete(PipelineId, u64),
}

/// New events of a job.
#[derive(Debug)]
pub struct JobWrite {
    /// The job after them.
    pub job: Arc<Job>,
    /// At least one. The first one's sequence tells the version that is expected.
    pub events: Vec<Event>,
}

/// A change of a lease. All but the last are conflicts if the lease is not live under this
/// token, or if its state is not one from which the change leads on.
#[derive(Debug)]
pub enum LeaseWrite {
    /// The runner started the stage: [`LeaseState::Offered`](super::LeaseState) or confirmed
    /// already becomes confirmed. The job's workspace is the runner's from now on.
    Confirm {
        /// The lease.
        id: LeaseId,
        /// Its token.
        token: FencingToken,
        /// Void from then on unless it is renewed; never moves back.
        expires: SystemTime,
        /// The service's own end of the stage, which no renewal moves; the first one counts.
        ends_by: SystemTime,
    },
    /// It is over as it should be: its slot is free, and its end may be told again until
    /// `remember_until`.
    End {
        /// The lease.
        id: LeaseId,
        /// Its token.
        token: FencingToken,
        /// When the row goes.
        remember_until: SystemTime,
        /// The stage was not started: it is not live any more for its job.
        is_returned: bool,
    },
    /// A void lease is settled: the row goes.
    Settle {
        /// The lease.
        id: LeaseId,
        /// Its token.
        token: FencingToken,
    },
    /// The workspace of an active job is gone: the runner's binding goes, and the loss is
    /// kept as long as the job is active. Nothing if the job is not active.
    LoseWorkspace {
        /// The job.
        job_id: JobId,
        /// The workspace.
        lost: LostWorkspace,
    },
}

/// What must hold of a scope that a batch does not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The record has this version; 0: there is none.
    RecordVersion {
        /// Name of the collection.
        collection: &'static str,
        /// Key of the record.
        key: String,
        /// The version that the decision was based on.
        version: u64,
    },
    /// The project has no pipeline and no job. Else [`Conflict`](super::CommitError::Conflict).
    ProjectIsEmpty(String),
}

impl Batch {
    /// A batch of these writes.
    pub fn of(writes: impl IntoIterator<Item = Write>) -> Self {
        Self {
            writes: writes.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Write {
    /// What it concerns; none for what has no version.
    pub fn scope(&self) -> Option<Scope> {
        Some(match self {
            Self::Pipeline(
                PipelineWrite::Create(pipeline) | PipelineWrite::Revise(pipeline, _),
            ) => Scope::Pipeline(pipeline.id),
            Self::Pipeline(PipelineWrite::AddJob(id, _) | PipelineWrite::Delete(id, _)) => {
                Scope::Pipeline(*id)
            }
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
