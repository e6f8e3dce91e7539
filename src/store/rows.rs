use std::{sync::Arc, time::SystemTime};

use crate::domain::{
    Event, FencingToken, Job, JobFacts, JobId, LeaseId, LostWorkspace, Pipeline, PipelineId,
    RunnerId,
};

use super::{
    BatchId, KeptAnswer, LeaseRow, Record, RequestKey, RunnerRow, WorkKey,
    codec::{PipelineHead, StoredBinding, StoredDue, StoredDurations},
};

/// A change of rows, as a durable store writes it. The changes of all operations, applied in
/// their order to no rows, are the rows of the store.
#[derive(Clone, Debug)]
pub enum RowChange {
    /// A new revision of a pipeline. Revisions are never rewritten.
    AddRevision(Arc<Pipeline>),
    /// The counters of a pipeline.
    PutHead(PipelineHead),
    PutDurations(StoredDurations),
    /// The pipeline is deleted. Its revisions stay with the jobs that run them.
    RemovePipeline(PipelineId),
    /// New events of a job, which are never rewritten, and the job after them.
    AddEvents(Arc<Job>, Vec<Event>),
    RemoveJob(JobId),
    AddFacts(Arc<JobFacts>),
    PutRunner(Arc<RunnerRow>),
    RemoveRunner(RunnerId),
    PutLease(LeaseRow),
    RemoveLease(LeaseId),
    /// All bindings and lost workspaces of a job, each in their order.
    PutWorkspaces(JobId, Vec<StoredBinding>, Vec<LostWorkspace>),
    /// The fencing token of the next lease.
    PutNextToken(FencingToken),
    PutRecord(&'static str, Record),
    /// Collection and key.
    RemoveRecord(&'static str, String),
    PutWork(StoredDue),
    RemoveWork(WorkKey),
    /// The token of the newest claim of due work.
    PutLastClaim(u64),
    PutAnswer(Arc<RequestKey>, KeptAnswer),
    RemoveAnswer(Arc<RequestKey>),
    /// Removes the answers that were made before this time.
    RemoveAnswersBefore(SystemTime),
    /// A batch was committed.
    AddBatch(BatchId),
}
