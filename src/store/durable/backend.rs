use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;

use crate::{
    domain::{Event, Job, JobFacts, JobId, Pipeline, PipelineId},
    store::{
        BatchId, FactsFilter, JobFilter, KeptAnswer, MemoryStore, RequestKey, RowChange, StoreError,
    },
};

/// The writing side of a backend.
pub(in crate::store) trait Sink: Send + 'static {
    /// Applies all changes in their order, or none of them. They are on stable storage when
    /// this returns.
    fn write(&mut self, changes: &[RowChange]) -> Result<(), SinkError>;

    /// Does some of the work that can wait, such as the removal of old rows, when nothing else
    /// is to be written. Returns whether there is more.
    fn maintain(&mut self) -> Result<bool, SinkError> {
        Ok(false)
    }
}

/// Why a group was not written.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum SinkError {
    /// There is no space. Nothing of the group was written.
    #[error("the disk is full: {0}")]
    Full(String),
    /// It is not known what was written, and a second attempt could report success for data
    /// that is lost: the process must end.
    #[error("the store could not be written: {0}")]
    Fatal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The reading side of a backend. It has what was written, and nothing else.
#[async_trait]
pub(in crate::store) trait Archive: Send + Sync + 'static {
    /// Everything that has to be in memory: everything active, and what ended a short time ago.
    fn load(&self) -> Result<MemoryStore, StoreError>;

    /// Whether so little space is left that nothing may be added which is not needed to end
    /// what was begun.
    fn is_low_on_space(&self) -> bool {
        false
    }

    /// Whether secrets can be stored.
    fn can_seal(&self) -> bool;

    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError>;

    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError>;

    /// Jobs that have ended, as [`JobStore::list_jobs`](crate::store::JobStore::list_jobs).
    async fn list_ended(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError>;

    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError>;

    /// Whether a job of the project has ended.
    async fn has_ended_jobs(&self, project: &str) -> Result<bool, StoreError>;

    async fn facts(&self, filter: &FactsFilter) -> Result<Vec<Arc<JobFacts>>, StoreError>;

    async fn revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Result<Option<Arc<Pipeline>>, StoreError>;

    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError>;

    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError>;
}
