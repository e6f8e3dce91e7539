use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;

use crate::domain::{JobId, Pipeline, PipelineId};

use super::StoreError;

#[async_trait]
pub trait PipelineStore {
    /// A pipeline with the state that decides about its jobs.
    async fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineState>, StoreError>;

    /// Jobs of a pipeline that have not ended, in the order of their numbers. There may
    /// be very many, so they are not part of its state, but a job is never added
    /// without a new version.
    async fn active_jobs(&self, id: PipelineId) -> Result<Vec<JobId>, StoreError>;

    /// A pipeline as it was at a revision; `None` if that is not stored, or if the
    /// pipeline is deleted.
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

    /// Pipelines whose oldest active job has not begun: it may be its turn. For the
    /// sweep that finds turns that were lost to an error or a crash.
    async fn pipelines_with_held_jobs(&self) -> Result<Vec<PipelineId>, StoreError>;
}

/// A pipeline with the state that decides about its jobs.
#[derive(Clone, Debug)]
pub struct PipelineState {
    pub pipeline: Arc<Pipeline>,
    /// How many jobs have not ended.
    pub active_jobs: usize,
    pub oldest_active_job: Option<JobId>,
    /// Count of all jobs ever created from it.
    pub jobs_created: i64,
    /// The oldest revision that is stored whether jobs run it or not.
    pub oldest_revision: i64,
    /// Increases whenever a revision or a job is created.
    pub version: u64,
    /// How long its stages took in its newest job that succeeded, by stage name; `None`
    /// if that is not known. See [`stage_weights`](crate::domain::stage_weights).
    pub durations: Option<Arc<crate::domain::StageDurations>>,
}

/// Which pipelines to list; an unset part matches all.
#[derive(Clone, Debug, Default)]
pub struct PipelineFilter {
    pub projects: Option<BTreeSet<String>>,
    pub name: Option<String>,
    pub git_repository: Option<String>,
}
