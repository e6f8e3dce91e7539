//! Where pipelines and jobs are kept.
//!
//! The engine loads a scope, decides on it purely, and commits what it decided,
//! with the versions that it saw; on a conflict it starts again. Every backend
//! passes the one suite in `conformance`.

pub mod codec;
#[cfg(test)]
mod conformance;
mod memory;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::{
    Bindings, Event, Job, JobId, JobState, Offer, Pipeline, PipelineId, RunKey, RunnerId,
};

pub use memory::MemoryStore;

/// Keeps pipelines, jobs with their events, the queue of ready stages, and the
/// answers to request ids.
///
/// Reads see every commit that was acknowledged before they began. A crash before
/// a commit is acknowledged means that all of it happened or nothing of it.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// A pipeline with what decides about its jobs.
    async fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineState>, StoreError>;

    /// Jobs of a pipeline that have not ended, by their numbers. There may be very
    /// many, so they are no part of its state; but none is new where the version is not.
    async fn active_jobs(&self, id: PipelineId) -> Result<Vec<JobId>, StoreError>;

    /// A pipeline as it was at a revision; none when that is not kept, or the
    /// pipeline is gone.
    async fn revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Result<Option<Arc<Pipeline>>, StoreError>;

    /// At most `limit` pipelines, the newest first, older than `before` if given.
    async fn list_pipelines(
        &self,
        filter: &PipelineFilter,
        before: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<Arc<Pipeline>>, StoreError>;

    /// A job. Its version is its `last_sequence`.
    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError>;

    /// A job's events after a sequence, in order; none when the job is not kept.
    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError>;

    /// At most `limit` jobs, the newest first, older than `before` if given.
    async fn list_jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError>;

    /// What was answered to a request id, if that is kept.
    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError>;

    /// Does all of a batch or nothing of it.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Takes the first ready stage out of the queue that the runner may have, and
    /// binds its job to the runner, which has its workspace from now on: stages of it
    /// for which the runner's labels are enough go to no other. A crash after it,
    /// before the stage is started, puts it back.
    async fn claim(&self, claim: &Claim) -> Result<Option<ReadyStage>, StoreError>;

    /// Puts a claimed stage back that was not started. Nothing if it no longer waits.
    async fn unclaim(&self, stage: ReadyStage) -> Result<(), StoreError>;

    /// The runners that an active job is bound to, with their labels.
    async fn bindings(&self, id: JobId) -> Result<Bindings, StoreError>;

    /// The jobs that are bound to a runner.
    async fn bound_jobs(&self, runner_id: RunnerId) -> Result<Vec<JobId>, StoreError>;

    /// Lets a job go from a runner that no longer has its workspace.
    async fn unbind(&self, id: JobId, runner_id: RunnerId) -> Result<(), StoreError>;

    /// Stages that wait in the queue.
    async fn ready_stages(&self) -> Result<usize, StoreError>;

    /// The stage at the head of the queue, whoever may have it.
    async fn head_of_queue(&self) -> Result<Option<ReadyStage>, StoreError>;

    /// Of the ended jobs beyond the newest `keep`, those that ended before a time,
    /// the oldest first.
    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError>;

    /// Forgets an ended job. A crash before it means that it is still listed as ended.
    async fn remove_job(&self, id: JobId) -> Result<(), StoreError>;
}

/// The store could not do its work.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something that the decision was based on has changed: load again.
    #[error("a scope has changed since it was loaded")]
    Conflict,
    /// Another pipeline of the project has the name.
    #[error("project '{project}' has a pipeline named '{name}'")]
    NameTaken {
        /// The project.
        project: String,
        /// The name.
        name: String,
    },
    /// The request id has been answered in the meantime.
    #[error("the request id has been answered")]
    Answered(KeptAnswer),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Labels of a runner, or those that a stage asks for.
pub type Labels = BTreeMap<String, String>;

/// A pipeline with what decides about its jobs.
#[derive(Clone, Debug)]
pub struct PipelineState {
    /// Its newest revision.
    pub pipeline: Arc<Pipeline>,
    /// How many jobs have not ended.
    pub active_jobs: usize,
    /// The first made of those.
    pub oldest_active_job: Option<JobId>,
    /// Jobs that were ever made of it.
    pub jobs_created: i64,
    /// Goes up whenever a revision or a job is made.
    pub version: u64,
}

/// Which pipelines to list; an unset part matches all.
#[derive(Clone, Debug, Default)]
pub struct PipelineFilter {
    /// Only of these projects.
    pub projects: Option<BTreeSet<String>>,
    /// Only of exactly this name.
    pub name: Option<String>,
    /// Only of exactly this repository.
    pub git_repository: Option<String>,
}

/// Which jobs to list; an unset part matches all.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only of these projects.
    pub projects: Option<BTreeSet<String>>,
    /// Only of this pipeline.
    pub pipeline_id: Option<PipelineId>,
    /// Only in one of these states; all when empty.
    pub states: Vec<JobState>,
}

/// Names a call that may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Who called.
    pub principal: String,
    /// What was called.
    pub method: &'static str,
    /// The id that the caller chose.
    pub request_id: Uuid,
}

/// The first answer to a request id.
#[derive(Clone, Debug)]
pub struct KeptAnswer {
    /// Hash of the request, to know a repetition from another request.
    pub fingerprint: [u8; 32],
    /// What was answered.
    pub answer: Answer,
    /// When.
    pub time: SystemTime,
}

/// What a call with a request id answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A pipeline as it was then.
    Pipeline(Arc<Pipeline>),
    /// Nothing but OK.
    Deleted,
    /// A job as it was then.
    Job(Arc<Job>),
}

/// What one decision changes. All of it concerns one pipeline.
#[derive(Debug, Default)]
pub struct Batch {
    /// The change of the pipeline, if any.
    pub pipeline: Option<PipelineWrite>,
    /// The changes of its jobs.
    pub jobs: Vec<JobWrite>,
    /// What to keep for the call's request id.
    pub answer: Option<(RequestKey, KeptAnswer)>,
}

/// A change of a pipeline.
#[derive(Debug)]
pub enum PipelineWrite {
    /// A new pipeline.
    Create(Arc<Pipeline>),
    /// Its next revision, if it still has this version.
    Revise(Arc<Pipeline>, u64),
    /// A new job is among the batch's jobs, if the pipeline still has this version. Its
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

/// Who asks for a ready stage.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The runner.
    pub runner_id: RunnerId,
    /// What it offers.
    pub offer: Arc<Offer>,
    /// It takes only stages of jobs that are bound to it already.
    pub only_bound: bool,
}

/// A stage that was taken out of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyStage {
    /// Its job.
    pub job_id: JobId,
    /// Which run of it.
    pub run: RunKey,
}
