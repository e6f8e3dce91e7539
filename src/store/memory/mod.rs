//! The store that lives as long as its process.
//!
//! Keyed look-ups are DashMaps whose values have locks of their own, so that no
//! guard of a shard is held while two scopes are locked. What spans keys has an
//! ordered index of its own: a page costs as much as the page is long.

mod answers;
mod capture;
mod commit;
mod dispatch;
mod due;
mod evictable;
mod facts;
mod index;
mod jobs;
mod ledger;
mod pipelines;
mod recent;
mod records;
mod snapshot;
mod unload;
mod usage;
mod weights;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::domain::{FencingToken, Job, JobId, Pipeline, PipelineId};

use super::{
    Batch, BatchId, Change, CommitError, CommitSubscriber, Committed, Instance, KeptAnswer,
    Lifetime, RequestKey, RowChange, Store, StoreError, codec::StoredInstance,
};
use answers::Answers;
use capture::Capture;
use dispatch::{Dispatch, LockedDispatch};
use due::DueQueue;
use evictable::Evictable;
use facts::Facts;
use index::{JobIndex, PipelineIndex};
use jobs::JobEntry;
use ledger::Ledger;
use pipelines::PipelineEntry;
use recent::RecentBatches;
use records::Collections;

pub use snapshot::Snapshot;
pub(in crate::store) use snapshot::{Restorer, damaged, name};

/// Keeps everything in memory; what it acknowledged is lost with the process.
///
/// Locks are taken in one order: pipelines by id, jobs by id, records, due work, answers,
/// dispatch. The other ones are held for one step each, and nothing is locked under them: a
/// name, an index, the facts, the recent batches, the ledger. Dispatch comes late because all commits
/// and all runners meet there: one without lease writes takes it only to change the queue.
pub struct MemoryStore {
    instance: Instance,
    pipelines: DashMap<PipelineId, Arc<Mutex<PipelineEntry>>>,
    jobs: DashMap<JobId, Arc<Mutex<JobEntry>>>,
    /// Held for reading through a whole commit that has preconditions or makes a pipeline:
    /// a project's record cannot go while a pipeline comes into the project.
    records: RwLock<Collections>,
    due: Mutex<DueQueue>,
    answers: Mutex<Answers>,
    dispatch: Mutex<Dispatch>,
    /// Project and name to pipeline.
    names: DashMap<(String, String), PipelineId>,
    pipeline_index: RwLock<PipelineIndex>,
    job_index: RwLock<JobIndex>,
    evictable: RwLock<Evictable>,
    facts: RwLock<Facts>,
    recent: Mutex<RecentBatches>,
    ledger: Mutex<Ledger>,
    subscriber: RwLock<Option<Arc<dyn CommitSubscriber>>>,
    capture: Capture,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(SystemTime::now())
    }
}

impl MemoryStore {
    /// An empty store. Its first fencing token is `now` in microseconds since the epoch:
    /// runners that outlive the process see tokens that go up from one process to the next,
    /// as no process issues one for each microsecond that it lives.
    pub fn new(now: SystemTime) -> Self {
        Self::opened(new_instance(Lifetime::Process), first_token(now))
    }

    fn opened(instance: Instance, next_token: FencingToken) -> Self {
        Self {
            instance,
            pipelines: DashMap::default(),
            jobs: DashMap::default(),
            records: RwLock::default(),
            due: Mutex::default(),
            answers: Mutex::default(),
            dispatch: Mutex::new(Dispatch::new(next_token)),
            names: DashMap::default(),
            pipeline_index: RwLock::default(),
            job_index: RwLock::default(),
            evictable: RwLock::default(),
            facts: RwLock::default(),
            recent: Mutex::default(),
            ledger: Mutex::default(),
            subscriber: RwLock::default(),
            capture: Capture::default(),
        }
    }

    /// The same store, said to live for so long: a test that hands one to the next engine,
    /// or reopens its snapshot, has it stand for a durable store.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.instance.lifetime = lifetime;
        self
    }

    /// The same store, which captures its row changes from now on.
    #[must_use]
    pub(in super::super) fn captured(mut self) -> Self {
        self.capture = Capture::on();
        self.dispatch.get_mut().capture();
        self
    }

    /// The row changes since the previous call, in order.
    pub(in super::super) fn take_changes(&self) -> Vec<RowChange> {
        self.capture.take()
    }

    fn dispatch(&self) -> LockedDispatch<'_> {
        LockedDispatch::new(self.dispatch.lock(), &self.capture)
    }

    /// Looks an entry up and releases the map's shard before the entry is locked.
    fn pipeline_entry(&self, id: PipelineId) -> Option<Arc<Mutex<PipelineEntry>>> {
        self.pipelines.get(&id).map(|entry| Arc::clone(&entry))
    }

    fn job_entry(&self, id: JobId) -> Option<Arc<Mutex<JobEntry>>> {
        self.jobs.get(&id).map(|entry| Arc::clone(&entry))
    }

    fn current_job(&self, id: JobId) -> Option<Arc<Job>> {
        let entry = self.job_entry(id)?;
        let job = Arc::clone(&entry.lock().job);
        Some(job)
    }

    /// Tells the feed of what no batch changed.
    fn tell(&self, changes: impl IntoIterator<Item = Change>) {
        if let Some(subscriber) = &*self.subscriber.read() {
            let changes = changes.into_iter().collect();
            subscriber.committed(&Committed { changes });
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.commit_batch(batch)
    }

    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError> {
        Ok(self.recent.lock().contains(id))
    }

    async fn answer(
        &self,
        key: &RequestKey,
        now: SystemTime,
    ) -> Result<Option<KeptAnswer>, StoreError> {
        Ok(self.answers.lock().get(key, now).cloned())
    }

    fn subscribe(&self, subscriber: Arc<dyn CommitSubscriber>) {
        *self.subscriber.write() = Some(subscriber);
    }

    fn instance(&self) -> &Instance {
        &self.instance
    }

    fn can_seal(&self) -> bool {
        true
    }
}

/// The instance of a new durable store.
pub(in crate::store) fn durable_instance(now: SystemTime) -> StoredInstance {
    StoredInstance {
        instance: new_instance(Lifetime::Durable),
        next_token: first_token(now),
        last_claim: 0,
    }
}

fn new_instance(lifetime: Lifetime) -> Instance {
    Instance {
        id: Uuid::new_v4(),
        fingerprint_key: rand::random(),
        lifetime,
    }
}

fn first_token(now: SystemTime) -> FencingToken {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.unwrap_or(Duration::ZERO).as_micros();
    FencingToken(i64::try_from(micros).unwrap_or(i64::MAX / 2).max(1))
}

fn name_key(pipeline: &Pipeline) -> (String, String) {
    (pipeline.project.clone(), pipeline.spec.name.clone())
}

/// Collects a page from an index. The index is unlocked before an entry is locked: a commit
/// locks them in the opposite order.
fn page<Id: Copy, T>(
    mut before: Option<Id>,
    limit: usize,
    ids: impl Fn(Option<Id>, usize) -> Vec<Id>,
    find: impl Fn(Id) -> Option<T>,
) -> Vec<T> {
    let mut found = Vec::new();
    loop {
        let wanted = limit - found.len();
        let candidates = ids(before, wanted);
        found.extend(candidates.iter().filter_map(|id| find(*id)));
        if candidates.len() < wanted || found.len() == limit {
            return found;
        }
        before = candidates.last().copied();
    }
}

#[cfg(test)]
mod tests;
