use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;

use crate::domain::{JobId, Pipeline, PipelineId};

use super::StoreError;

/// Pipelines with their revisions.
#[async_trait]
pub trait PipelineStore {
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

    /// Pipelines of which the oldest active job has not begun: it may be its turn. For the
    /// sweep that finds turns that were lost to an error or a crash.
    async fn pipelines_with_held_jobs(&self) -> Result<Vec<PipelineId>, StoreError>;
}

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
    /// What its stages took in its newest job that succeeded, by the stage's name; none if
    /// that is not known. See [`stage_weights`](crate::domain::stage_weights).
    pub durations: Option<Arc<crate::domain::StageDurations>>,
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
