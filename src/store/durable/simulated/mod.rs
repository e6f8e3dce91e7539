//! A backend without files, threads and time of its own, for tests. What was synced outlives a
//! crash. The writer is a task, whose writes take time and fail as a seed says.

mod archive;
mod rows;
mod tests;

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};
use tokio::{sync::Notify, task::JoinHandle, time};

use crate::store::{
    DurableStore, MemoryStore, RowChange, StoreError, codec::StoredInstance, durable_instance,
};

use super::{
    Shared, Sink, SinkError,
    writer::{Group, LAZY, Next},
};
use rows::Rows;

/// A disk that outlives the process which writes to it.
pub(crate) struct SimulatedDisk {
    once: StoredInstance,
    synced: Mutex<Synced>,
    faults: Mutex<Option<Faults>>,
    bug: Option<DiskBug>,
    /// Notified when a write begins.
    pub(crate) begun: Notify,
}

#[derive(Default)]
struct Synced {
    rows: Rows,
    /// The store of these rows, once something has been read.
    loaded: Option<Arc<MemoryStore>>,
}

/// How a disk slows down and fails.
pub(crate) struct Faults {
    pub(crate) chance: StdRng,
    /// Of a thousand writes, those that find the disk full.
    pub(crate) full: u32,
    /// Of a thousand writes, those that fail for good.
    pub(crate) fatal: u32,
}

/// Errors that a durable store could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskBug {
    /// A group is acknowledged before it is written.
    EarlyAcknowledgement,
    /// The token of the next lease is not restored.
    ForgottenTokens,
}

/// The course of one write.
#[derive(Clone, Copy, Default)]
struct Course {
    /// Until the rows are synced.
    before: Duration,
    /// Until the writer knows.
    after: Duration,
    fault: Option<Fault>,
}

#[derive(Clone, Copy)]
enum Fault {
    Full,
    Fatal { is_written: bool },
}

impl SimulatedDisk {
    pub(crate) fn new(now: SystemTime, bug: Option<DiskBug>) -> Arc<Self> {
        Arc::new(Self {
            once: durable_instance(now),
            synced: Mutex::default(),
            faults: Mutex::default(),
            bug,
            begun: Notify::new(),
        })
    }

    /// Slows down and fails from now on, or no more.
    pub(crate) fn fail(&self, faults: Option<Faults>) {
        *self.faults.lock() = faults;
    }

    fn course(&self) -> Course {
        let mut faults = self.faults.lock();
        faults.as_mut().map(Faults::course).unwrap_or_default()
    }

    fn sync(&self, changes: &[RowChange]) {
        let mut synced = self.synced.lock();
        changes.iter().for_each(|change| synced.rows.apply(change));
        synced.loaded = None;
    }
}

impl Faults {
    fn course(&mut self) -> Course {
        let fault = match self.chance.random_range(0..1_000) {
            drawn if drawn < self.full => Some(Fault::Full),
            drawn if drawn < self.full + self.fatal => Some(Fault::Fatal {
                is_written: self.chance.random(),
            }),
            _ => None,
        };
        Course {
            before: self.takes(),
            after: self.takes(),
            fault,
        }
    }

    /// Most writes are fast, some take long.
    fn takes(&mut self) -> Duration {
        let millis: Range<u64> = match self.chance.random_range(0..20) {
            0 => 20..400,
            1..10 => 0..8,
            _ => return Duration::ZERO,
        };
        Duration::from_millis(self.chance.random_range(millis))
    }
}

/// What the writer has of the disk.
struct SimulatedSink {
    disk: Arc<SimulatedDisk>,
    /// Of the next write.
    fault: Option<Fault>,
}

impl Sink for SimulatedSink {
    fn write(&mut self, changes: &[RowChange]) -> Result<(), SinkError> {
        match self.fault {
            None => {
                self.disk.sync(changes);
                Ok(())
            }
            Some(Fault::Full) => Err(SinkError::Full("no space is left".to_owned())),
            Some(Fault::Fatal { is_written }) => {
                if is_written {
                    self.disk.sync(changes);
                }
                Err(SinkError::Fatal("the sync failed".into()))
            }
        }
    }
}

impl DurableStore {
    /// Opens the store of a simulated disk. Its writer is a task of the current runtime, which
    /// ends once the store is closed and everything is written.
    pub(crate) fn simulated(
        disk: &Arc<SimulatedDisk>,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let shared = Arc::new(Shared::open(Arc::clone(disk) as _)?);
        let sink = SimulatedSink {
            disk: Arc::clone(disk),
            fault: None,
        };
        let writer = tokio::spawn(write(Arc::clone(&shared), sink));
        let store = Self {
            shared,
            writer: Mutex::default(),
        };
        Ok((store, writer))
    }
}

/// As [`Shared::write_until_closed`].
async fn write(shared: Arc<Shared>, mut sink: SimulatedSink) {
    while let Some(Group { mut entries, rows }) = next_group(&shared).await {
        let course = sink.disk.course();
        sink.fault = course.fault;
        sink.disk.begun.notify_waiters();
        if sink.disk.bug == Some(DiskBug::EarlyAcknowledgement) {
            shared.conclude(std::mem::take(&mut entries), Ok(()));
        }
        pass(course.before).await;
        let written = sink.write(&rows);
        pass(course.after).await;
        if !shared.conclude(entries, written) {
            return;
        }
    }
}

async fn next_group(shared: &Shared) -> Option<Group> {
    loop {
        let next = Next::of(&mut shared.journal.lock());
        match next {
            Next::Group(group) => return Some(group),
            Next::End => return None,
            Next::Wait => {}
        }
        let more = time::timeout(LAZY, shared.more.task.notified()).await;
        if more.is_err()
            && let Some(group) = Group::of_lazy(&mut shared.journal.lock())
        {
            return Some(group);
        }
    }
}

/// Other tasks run meanwhile, even if it takes no time.
async fn pass(time: Duration) {
    if time.is_zero() {
        tokio::task::yield_now().await;
    } else {
        time::sleep(time).await;
    }
}
