use std::time::SystemTime;

use async_trait::async_trait;

use crate::domain::{JobId, PipelineId};

use super::StoreError;

/// Whose bytes are counted. A value counts for the whole store, for its project, and for the
/// principal that had it stored: the creator of a pipeline or project with all revisions,
/// the caller that triggered a job, the caller of an idempotency record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// All that is kept.
    Store,
    /// What belongs to a project.
    Project(String),
    /// What a principal had stored.
    Principal(String),
}

impl Account {
    /// What kind of account it is: a label for metrics and errors.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Project(_) => "project",
            Self::Principal(_) => "caller",
        }
    }
}

/// The most bytes that an account may have. A batch that adds to the account beyond it is
/// refused; what is there already stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The account.
    pub account: Account,
    /// The most bytes.
    pub bytes: u64,
}

/// A batch would have taken an account over its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// The account and its limit.
    pub limit: Limit,
    /// What the account has.
    pub used: u64,
    /// What the batch would have added to it.
    pub added: u64,
}

/// An ended job that may be evicted, in the order in which that is done: those first that
/// never ran a stage, then by when they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndedJob {
    /// Whether a stage of it started.
    pub has_run: bool,
    /// When it ended.
    pub end_time: SystemTime,
    /// The job.
    pub id: JobId,
}

/// The bytes of the largest accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All that is kept.
    pub store: u64,
    /// What the project has that has most.
    pub largest_project: u64,
    /// What the principal has that has most.
    pub largest_principal: u64,
}

/// The bytes that are in memory: pipelines with their revisions, jobs with their events, facts,
/// records, idempotency records and due work, by the weights of `domain::weight`.
#[async_trait]
pub trait UsageStore {
    /// The bytes of an account.
    async fn used(&self, account: &Account) -> Result<u64, StoreError>;

    /// The bytes of the largest accounts. Costs as much as there are accounts.
    async fn usage(&self) -> Result<Usage, StoreError>;

    /// Ended jobs of an account behind `after`, in the order of their eviction.
    async fn ended_jobs(
        &self,
        account: &Account,
        after: Option<EndedJob>,
        limit: usize,
    ) -> Result<Vec<EndedJob>, StoreError>;

    /// Pipelines of an account that have older revisions than the newest one, behind `after`.
    async fn revised_pipelines(
        &self,
        account: &Account,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<PipelineId>, StoreError>;

    /// Removes idempotency records that were made before a time. Answers how many.
    async fn remove_answers(&self, made_before: SystemTime) -> Result<usize, StoreError>;

    /// Takes an ended job out of the memory if it can be read without that. False if it cannot,
    /// or is not there.
    async fn unload_job(&self, id: JobId) -> Result<bool, StoreError>;

    /// The same for all jobs that ended before a time, and for the idempotency records that were
    /// made before it. Answers how many jobs.
    async fn unload_before(&self, time: SystemTime) -> Result<usize, StoreError>;
}
