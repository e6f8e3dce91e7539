//! A store for tests that stands before another one: it fails, stalls or forgets as it is
//! told.

mod passes;
mod planted;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    task,
    time::{self, Duration},
};

use super::{
    Batch, BatchId, CommitError, CommitSubscriber, Instance, KeptAnswer, RequestKey, Store,
    StoreError,
};

pub(crate) use planted::Bug;
use planted::Planted;

/// A store before another one. Every call passes the gate on its way in, and is held up on
/// its way out.
pub(crate) struct Double {
    inner: Arc<dyn Store>,
    switches: Mutex<Switches>,
    planted: Arc<Planted>,
}

/// What the double does besides passing calls on.
#[derive(Clone, Copy, Default)]
struct Switches {
    is_broken: bool,
    /// How long each call takes before it reaches the store.
    takes: Duration,
    yields: bool,
    /// Calls that are done before one fails.
    fails_after: Option<usize>,
    /// What becomes of the next commit, of which the caller does not hear.
    unknown: Option<Unheard>,
    conflicts: bool,
}

/// What became of a commit whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unheard {
    Done,
    NotDone,
}

impl Double {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            switches: Mutex::default(),
            planted: Arc::default(),
        }
    }

    /// Every call fails while this is set.
    pub(crate) fn broken(&self, is_broken: bool) {
        self.switches.lock().is_broken = is_broken;
    }

    /// Every call takes so long before it is done.
    pub(crate) fn slow(&self, takes: Duration) {
        self.switches.lock().takes = takes;
    }

    /// Every call lets others go first, before it is done and after: a caller can be dropped
    /// at either.
    pub(crate) fn yields(&self, yields: bool) {
        self.switches.lock().yields = yields;
    }

    /// So many calls are done from now on, the next one fails, and those after it are done.
    pub(crate) fn fail_after(&self, calls: usize) {
        self.switches.lock().fails_after = Some(calls);
    }

    /// Takes back what [`fail_after`](Self::fail_after) has left.
    pub(crate) fn fail_no_more(&self) {
        self.switches.lock().fails_after = None;
    }

    /// Whether the call that was to fail is still to come.
    pub(crate) fn has_yet_to_fail(&self) -> bool {
        self.switches.lock().fails_after.is_some()
    }

    /// The next commit is done or not, and the caller does not hear which.
    pub(crate) fn unknown_commit(&self, unheard: Unheard) {
        self.switches.lock().unknown = Some(unheard);
    }

    /// Every commit is a conflict while this is set.
    pub(crate) fn conflicts(&self, conflicts: bool) {
        self.switches.lock().conflicts = conflicts;
    }

    /// Has the double be wrong in one way from now on, or in none.
    pub(crate) fn plant(&self, bug: Option<Bug>) {
        self.planted.plant(bug);
    }

    async fn gate(&self, method: &'static str) -> Result<(), StoreError> {
        let switches = *self.switches.lock();
        if switches.takes > Duration::ZERO {
            time::sleep(switches.takes).await;
        }
        if switches.yields {
            task::yield_now().await;
        }
        let mut switches = self.switches.lock();
        if let Some(calls) = switches.fails_after.take() {
            let Some(left) = calls.checked_sub(1) else {
                return Err(StoreError::transient(format!("{method} was to fail")));
            };
            switches.fails_after = Some(left);
        }
        if switches.is_broken && !self.planted.hides_failure(method) {
            return Err(StoreError::transient(format!(
                "{method}: the disk is on fire"
            )));
        }
        Ok(())
    }

    async fn after(&self) {
        let yields = self.switches.lock().yields;
        if yields {
            task::yield_now().await;
        }
    }

    fn is_broken(&self) -> bool {
        self.switches.lock().is_broken
    }

    async fn done(&self, batch: Batch) -> Result<(), CommitError> {
        let (conflicts, unknown) = {
            let mut switches = self.switches.lock();
            (switches.conflicts, switches.unknown.take())
        };
        if conflicts {
            return Err(CommitError::Conflict);
        }
        if unknown != Some(Unheard::NotDone) {
            self.committed(batch).await?;
        }
        match unknown {
            Some(_) => {
                let error = StoreError::transient("the connection broke");
                Err(CommitError::Unknown(error))
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Double {
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.gate("commit").await?;
        let result = self.done(batch).await;
        self.after().await;
        self.planted.tell_deferred();
        result
    }

    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError> {
        self.gate("was_committed").await?;
        let result = self.inner.was_committed(id).await;
        self.after().await;
        result
    }

    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError> {
        self.gate("answer").await?;
        let result = self.inner.answer(key).await;
        self.after().await;
        result
    }

    fn subscribe(&self, subscriber: Arc<dyn CommitSubscriber>) {
        self.inner.subscribe(self.planted.listen(subscriber));
    }

    fn instance(&self) -> &Instance {
        self.inner.instance()
    }
}
