//! A store for tests that wraps another one: it fails, stalls or forgets on
//! request.

mod passes;
mod planted;

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    task,
    time::{self, Duration},
};

use super::{
    Batch, BatchId, CommitError, CommitSubscriber, Instance, KeptAnswer, Mark, RequestKey, Store,
    StoreError,
};

pub(crate) use planted::Bug;
use planted::Planted;

/// Wraps a store. Every call runs [`before`](Self::before) on its way in, and
/// [`after`](Self::after) on its way out.
pub(crate) struct Double {
    inner: Arc<dyn Store>,
    switches: Mutex<Switches>,
    planted: Arc<Planted>,
}

/// The faults that are switched on.
#[derive(Clone, Copy, Default)]
struct Switches {
    is_broken: bool,
    /// Delay of each call before it reaches the store.
    takes: Duration,
    yields: bool,
    /// Calls that succeed before one fails.
    fails_after: Option<usize>,
    /// The fate of the next commit, whose response the caller does not get.
    unknown: Option<Unheard>,
    conflicts: bool,
    has_no_key: bool,
}

/// What happened to a commit whose response was lost.
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

    /// Delays every call by this much.
    pub(crate) fn slow(&self, takes: Duration) {
        self.switches.lock().takes = takes;
    }

    /// Every call yields before it runs and after: a caller can be dropped at either
    /// point.
    pub(crate) fn yields(&self, yields: bool) {
        self.switches.lock().yields = yields;
    }

    /// This many calls succeed from now on, then one fails, and all later ones succeed.
    pub(crate) fn fail_after(&self, calls: usize) {
        self.switches.lock().fails_after = Some(calls);
    }

    /// Cancels a pending [`fail_after`](Self::fail_after).
    pub(crate) fn fail_no_more(&self) {
        self.switches.lock().fails_after = None;
    }

    /// Whether the scheduled failure is still to come.
    pub(crate) fn has_yet_to_fail(&self) -> bool {
        self.switches.lock().fails_after.is_some()
    }

    /// The next commit is made or not, and the caller is not informed which.
    pub(crate) fn unknown_commit(&self, unheard: Unheard) {
        self.switches.lock().unknown = Some(unheard);
    }

    /// Every commit is a conflict while this is set.
    pub(crate) fn conflicts(&self, conflicts: bool) {
        self.switches.lock().conflicts = conflicts;
    }

    /// No secret can be stored while this is set, as in a durable store without a key.
    pub(crate) fn without_key(&self, has_no_key: bool) {
        self.switches.lock().has_no_key = has_no_key;
    }

    /// Makes the double behave wrongly in one way from now on, or in none.
    pub(crate) fn plant(&self, bug: Option<Bug>) {
        self.planted.plant(bug);
    }

    async fn before(&self, method: &'static str) -> Result<(), StoreError> {
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
        self.before("commit").await?;
        let result = self.done(batch).await;
        self.after().await;
        self.planted.notify_deferred();
        result
    }

    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError> {
        self.before("was_committed").await?;
        let result = self.inner.was_committed(id).await;
        self.after().await;
        result
    }

    async fn answer(
        &self,
        key: &RequestKey,
        now: SystemTime,
    ) -> Result<Option<KeptAnswer>, StoreError> {
        self.before("answer").await?;
        let result = self.inner.answer(key, now).await;
        self.after().await;
        result
    }

    fn subscribe(&self, subscriber: Arc<dyn CommitSubscriber>) {
        self.inner.subscribe(self.planted.listen(subscriber));
    }

    fn instance(&self) -> &Instance {
        self.inner.instance()
    }

    fn mark(&self) -> Mark {
        self.inner.mark()
    }

    async fn settled(&self, since: Mark) -> Result<(), StoreError> {
        if self.planted.shows_early() {
            return Ok(());
        }
        self.inner.settled(since).await
    }

    fn can_seal(&self) -> bool {
        !self.switches.lock().has_no_key && self.inner.can_seal()
    }
}
