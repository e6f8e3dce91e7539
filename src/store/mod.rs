//! Where pipelines, jobs and everything else are kept.
//!
//! The engine loads scopes, decides on them purely, and commits what it decided with the
//! versions that it saw (optimistic concurrency); on a conflict it starts again. A store
//! makes transactions and decides nothing. There is a trait for each aggregate, and two
//! shapes for the rest: typed records with indexes, and due work. Every backend passes the
//! one suite in `conformance`, live and after a reopen.

mod answers;
mod batch;
pub mod codec;
pub mod collections;
#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod double;
mod due;
mod error;
mod instance;
mod jobs;
mod leases;
mod memory;
mod pipelines;
mod records;
mod subscriber;

use async_trait::async_trait;

pub use answers::{Answer, KeptAnswer, RequestKey};
pub use batch::{Batch, BatchId, JobWrite, LeaseWrite, PipelineWrite, Precondition, Scope, Write};
pub use collections::DeadLetter;
pub use due::{ClaimedWork, DueStore, DueWork, DueWrite, WorkKey};
pub use error::{CommitError, StoreError};
pub use instance::{Instance, Lifetime};
pub use jobs::{FactsFilter, JobFilter, JobStore};
pub use leases::{
    Acquisition, KnownRunner, LeaseRequest, LeaseRow, LeaseState, LeaseStore, NotOffered, Presence,
    ReadyStage, RunnerRow,
};
pub use memory::{MemoryStore, Snapshot};
pub use pipelines::{PipelineFilter, PipelineState, PipelineStore};
pub use records::{Collection, Record, RecordQuery, RecordStore, RecordWrite, Records, Versioned};
pub use subscriber::{Change, CommitSubscriber, Committed, JobChange};

/// All that the engine asks of a store.
///
/// Reads see every commit that was acknowledged before they began. A crash before a commit
/// is acknowledged means that all of it happened or nothing of it.
#[async_trait]
pub trait Store:
    PipelineStore + JobStore + LeaseStore + RecordStore + DueStore + Send + Sync + 'static
{
    /// Does all of a batch or nothing of it. The subscribed [`Subscriber`] learns of it before
    /// this returns. A future that is dropped leaves nothing half done: what was committed
    /// is told all the same.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Whether a batch was committed: what became of one that ended in
    /// [`CommitError::Unknown`].
    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError>;

    /// What was answered to a request id, if that is kept.
    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError>;

    /// Has the feed learn of every later change, once and in the order of their commits
    /// within a job. There is one feed a store: a later one takes its place.
    fn subscribe(&self, subscriber: std::sync::Arc<dyn CommitSubscriber>);

    /// Which store this is, and how long it lives.
    fn instance(&self) -> &Instance;
}
