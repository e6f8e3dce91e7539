use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::{
    domain::{LeaseId, RunnerId},
    store::{CommitSubscriber, Committed, RowChange, StoreError},
};

/// Operations that are applied to the live store and not durable yet, in order.
#[derive(Default)]
pub(super) struct Journal {
    pub(super) entries: Vec<Entry>,
    /// Changes that may be lost, and are written with the next entry or after a while.
    lazy: BTreeMap<LazyKey, RowChange>,
    /// How many entries there have ever been.
    pub(super) submitted: u64,
    /// Why nothing can be added.
    pub(super) closed: Option<StoreError>,
}

/// The effects of one operation.
pub(super) struct Entry {
    pub(super) rows: Vec<RowChange>,
    pub(super) committed: Vec<Committed>,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LazyKey {
    Runner(RunnerId),
    Lease(LeaseId),
}

/// How far the writer is, for those who wait for it. They are woken in the order in which they
/// came.
#[derive(Default)]
pub(super) struct Progress {
    reached: Mutex<Reached>,
    changed: Notify,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Reached {
    /// How many of the entries are durable or have failed.
    pub(super) settled: u64,
    /// Increases when entries have failed.
    pub(super) failures: u64,
}

impl Progress {
    pub(super) fn now(&self) -> Reached {
        *self.reached.lock()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Reached)) {
        change(&mut self.reached.lock());
        self.changed.notify_waiters();
    }

    /// Resolves once so many entries are settled.
    pub(super) async fn until(&self, settled: u64) -> Reached {
        loop {
            // Registered before the look, so that no change in between is missed.
            let changed = self.changed.notified();
            let now = self.now();
            if now.settled >= settled {
                return now;
            }
            changed.await;
        }
    }
}

impl Journal {
    /// Adds the effects of an operation, after the lazy changes before it.
    pub(super) fn push(
        &mut self,
        rows: Vec<RowChange>,
        committed: Vec<Committed>,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        let (done, is_done) = oneshot::channel();
        let mut all = self.take_lazy();
        if all.is_empty() {
            all = rows;
        } else {
            all.extend(rows);
        }
        self.entries.push(Entry {
            rows: all,
            committed,
            done,
        });
        self.submitted += 1;
        is_done
    }

    /// Adds changes of runners and leases that nothing waits for: when a runner was seen, and
    /// how long a lease lives. After a crash both begin anew, so that losing them does no harm.
    pub(super) fn push_lazily(&mut self, rows: Vec<RowChange>) {
        for row in rows {
            let key = match &row {
                RowChange::PutRunner(runner) => LazyKey::Runner(runner.id),
                RowChange::PutLease(lease) => LazyKey::Lease(lease.id),
                _ => unreachable!("only runners and leases change lazily"),
            };
            self.lazy.insert(key, row);
        }
    }

    pub(super) fn take_lazy(&mut self) -> Vec<RowChange> {
        std::mem::take(&mut self.lazy).into_values().collect()
    }

    pub(super) fn close(&mut self) {
        let closed = || StoreError::transient("it is closed");
        self.closed.get_or_insert_with(closed);
    }
}

/// Collects what the live store notifies, until it is durable.
#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<Committed>>);

impl Heard {
    pub(super) fn take(&self) -> Vec<Committed> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl CommitSubscriber for Heard {
    fn committed(&self, committed: &Committed) {
        self.0.lock().push(committed.clone());
    }
}
