//! One driver for all periodic work, with a status for each task.

mod driver;
mod pause;
mod record;
mod status;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::Clock;
use record::Record;

pub use status::{TaskState, TaskStatus};

/// The service's background tasks. Cheap to clone.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    records: Mutex<BTreeMap<&'static str, Arc<Record>>>,
}

/// The definition of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    /// In snake case; unique, because it is the label of its metrics.
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// Longest pause between the end of a run and the start of the next.
    pub(super) period: Duration,
}

/// The result of a successful run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ran {
    /// Items processed in this run.
    pub(super) items: u64,
    /// When the next run is due, if earlier than the period. A time that has passed
    /// means immediately: there was more to do than one run should handle.
    pub(super) next: Option<Instant>,
}

impl Tasks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let records = Mutex::default();
        Self(Arc::new(Inner { clock, records }))
    }

    /// Runs `run` immediately, and then whenever `wake` is notified, when the last run
    /// said that the next is due, and at least once per period. Runs of one task never
    /// overlap.
    /// Notifications that arrive during a run coalesce into one further run.
    ///
    /// After a failure, including a panic, the next run is delayed by a backoff of 1 s
    /// to 60 s, capped by the period; a notification cuts it short to 1 s.
    ///
    /// The owner is held during a run only. The driver ends at the first run that is
    /// due after the owner is gone: notify `wake` on drop to end it earlier.
    pub(super) fn spawn<Owner, Run, Fut>(
        &self,
        task: Task,
        wake: Arc<Notify>,
        owner: Weak<Owner>,
        run: Run,
    ) where
        Owner: Send + Sync + 'static,
        Run: Fn(Arc<Owner>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Ran, String>> + Send + 'static,
    {
        let record = Arc::new(Record::new(task, Arc::clone(&self.0.clock)));
        let known = self.0.records.lock().insert(task.name, Arc::clone(&record));
        debug_assert!(known.is_none(), "two tasks have the name {}", task.name);
        tokio::spawn(driver::drive(record, wake, owner, run));
    }

    /// The status of each task, in the order of their names.
    pub fn statuses(&self) -> Vec<TaskStatus> {
        let records = self.0.records.lock();
        records.values().map(|record| record.status()).collect()
    }
}
