//! Storage for pipelines, jobs and everything else.
//!
//! The engine loads scopes, makes pure decisions on them, and commits the result
//! with the versions that it saw (optimistic concurrency); on a conflict it starts
//! again. A store makes transactions and decides nothing. There is a trait for each
//! aggregate, and two generic shapes for the rest: typed records with indexes, and
//! due work. Every backend passes the one suite in `conformance`, live and after a
//! reopen.

mod answers;
mod batch;
pub mod codec;
pub mod collections;
#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod double;
mod due;
mod durable;
mod error;
mod instance;
mod jobs;
mod leases;
mod memory;
mod pipelines;
mod records;
mod rows;
mod seal;
mod sqlite;
mod subscriber;
mod usage;

use async_trait::async_trait;

pub use answers::{Answer, KeptAnswer, RequestKey};
pub use batch::{Batch, BatchId, JobWrite, LeaseWrite, PipelineWrite, Precondition, Scope, Write};
pub use collections::DeadLetter;
pub use due::{ClaimedWork, DueStore, DueWork, DueWrite, WorkKey};
pub use durable::DurableStore;
#[cfg(test)]
pub(crate) use durable::simulated::{DiskBug, Faults, SimulatedDisk};
pub use error::{CommitError, StoreError, StoreErrorKind};
pub use instance::{Instance, Lifetime};
pub use jobs::{FactsFilter, JobFilter, JobStore};
pub use leases::{
    Acquisition, KnownRunner, LeaseRequest, LeaseRow, LeaseState, LeaseStore, NotOffered, Presence,
    ReadyStage, RunnerRow,
};
pub use memory::{MemoryStore, Snapshot};
pub(in crate::store) use memory::{Restorer, damaged, durable_instance, name};
pub use pipelines::{PipelineFilter, PipelineState, PipelineStore};
pub use records::{Collection, Record, RecordQuery, RecordStore, RecordWrite, Records, Versioned};
pub use rows::RowChange;
pub use seal::{
    BadKeys, DataKey, EncryptionKey, KeyFile, KeyFileError, KeyId, Keyring, KeyringError,
};
pub use sqlite::{
    BackupError, Checked, Manifest, OpenError, Opened, Options as DirectoryOptions, RotateError,
    Rotated, back_up, check, restore, rotate,
};
pub use subscriber::{Change, CommitSubscriber, Committed, JobChange};
pub use usage::{Account, EndedJob, Limit, OverLimit, Usage, UsageStore};

/// All operations that the engine needs from a store.
///
/// Reads see every commit that was acknowledged before they began, and may see later ones:
/// see [`settled`](Self::settled). After a crash
/// before the acknowledgement, either all of the commit happened or nothing of it.
#[async_trait]
pub trait Store:
    PipelineStore + JobStore + LeaseStore + RecordStore + DueStore + UsageStore + Send + Sync + 'static
{
    /// Applies all of a batch or nothing of it. The subscribed [`CommitSubscriber`] is
    /// notified before this returns. A dropped future leaves nothing half done, and a
    /// commit that was made is notified anyway.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Whether a batch was committed, for one that ended in [`CommitError::Unknown`].
    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError>;

    /// The idempotency record of a request id, if it is stored and not older than 24 h.
    async fn answer(
        &self,
        key: &RequestKey,
        now: std::time::SystemTime,
    ) -> Result<Option<KeptAnswer>, StoreError>;

    /// Registers the subscriber for every later change. It is notified once per commit,
    /// and in commit order within a job. A store has one subscriber: a later one
    /// replaces it.
    fn subscribe(&self, subscriber: std::sync::Arc<dyn CommitSubscriber>);

    fn instance(&self) -> &Instance;

    /// Marks the state that reads see from now on, for [`settled`](Self::settled).
    fn mark(&self) -> Mark {
        Mark::default()
    }

    /// Resolves once everything is durable that reads since the mark may have seen. Reads see
    /// commits before they are durable, so that the next decision can be based on them; what
    /// leaves the process waits for this.
    ///
    /// # Errors
    /// If a commit that a read may have seen failed: nothing of it has happened.
    async fn settled(&self, since: Mark) -> Result<(), StoreError> {
        let _ = since;
        Ok(())
    }

    /// Whether secrets can be stored: a durable store needs an encryption key.
    fn can_seal(&self) -> bool;
}

/// A state of the store that reads saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u64);
