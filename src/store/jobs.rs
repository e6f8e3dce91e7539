use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use async_trait::async_trait;

use crate::domain::{Event, Job, JobFacts, JobId, JobState, PipelineId};

use super::StoreError;

#[async_trait]
pub trait JobStore {
    /// A job. Its version is its `last_sequence`.
    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError>;

    /// A job's events after a sequence, in order; `None` if the job does not exist.
    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError>;

    /// At most `limit` jobs, the newest first, older than `before` if given.
    async fn list_jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError>;

    /// As many ended jobs as there are beyond `keep`, but only those that ended before a
    /// time or never ran a stage; the oldest first.
    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError>;

    /// Facts of ended jobs, in the order in which the jobs ended. Kept for 400 days,
    /// even if the jobs are gone. The memory store keeps at most 100,000 and evicts the
    /// oldest first.
    async fn facts(&self, filter: &FactsFilter) -> Result<Vec<Arc<JobFacts>>, StoreError>;
}

/// Which jobs to list; an unset part matches all.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    pub projects: Option<BTreeSet<String>>,
    pub pipeline_id: Option<PipelineId>,
    /// All states if empty.
    pub states: Vec<JobState>,
}

/// Which facts to read; an unset part matches all.
#[derive(Clone, Debug, Default)]
pub struct FactsFilter {
    pub project: Option<String>,
    pub pipeline_id: Option<PipelineId>,
    /// Only of jobs that ended at this time or later.
    pub since: Option<SystemTime>,
    /// Only of jobs that ended before this time.
    pub before: Option<SystemTime>,
    pub limit: usize,
}
