//! A store that outlives the process.
//!
//! The *live* store is a memory store that has everything active. Each operation is applied to
//! it immediately, and the row changes that follow go into the *journal*, in the same order. One
//! writer takes all that is in the journal, makes it durable by one transaction of the
//! *backend*, and only then notifies the subscriber and acknowledges the operations (group
//! commit). So decisions are made on the newest state without waiting for the disk, and nothing
//! is acknowledged that could be lost.
//!
//! Reads see the newest state, too. Whatever leaves the process waits until it is durable: see
//! [`Store::settled`].
//!
//! Jobs leave the live store some time after they have ended, and are then read from the
//! backend.

mod backend;
mod delegate;
mod journal;
mod more;
mod operation;
#[cfg(test)]
pub(crate) mod simulated;
mod writer;

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CommitSubscriber, Committed, Instance, MemoryStore, Store, StoreError};

pub(in crate::store) use backend::{Archive, Sink, SinkError};
use journal::{Heard, Journal, Progress};
use more::More;
use writer::MAINTENANCE;

/// A store on a backend.
pub struct DurableStore {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    instance: Instance,
    live: ArcSwap<MemoryStore>,
    /// Locked while an operation is applied to the live store, so that the journal has the
    /// operations in the order in which they were applied.
    journal: Mutex<Journal>,
    /// There is something for the writer.
    more: More,
    /// What the live store notified in the current operation.
    heard: Arc<Heard>,
    progress: Progress,
    archive: Arc<dyn Archive>,
    subscriber: RwLock<Option<Arc<dyn CommitSubscriber>>>,
    /// When a write found the disk full last.
    full_since: Mutex<Option<Instant>>,
    failed: CancellationToken,
}

impl DurableStore {
    /// Opens a store on a backend, and begins to write to it. To be called within a runtime:
    /// the subscriber is notified in its context.
    ///
    /// # Errors
    /// If the rows of the backend cannot be read.
    pub(in crate::store) fn open(
        archive: Arc<dyn Archive>,
        sink: impl Sink,
    ) -> Result<Self, StoreError> {
        Self::open_with(archive, sink, MAINTENANCE)
    }

    /// The same with another time between two rounds of maintenance.
    pub(in crate::store) fn open_with(
        archive: Arc<dyn Archive>,
        mut sink: impl Sink,
        maintenance: Duration,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::open(archive)?);
        let runtime = tokio::runtime::Handle::current();
        let writing = Arc::clone(&shared);
        let writer = thread::Builder::new().name("store-writer".to_owned());
        let writer = writer.spawn(move || {
            let _context = runtime.enter();
            let write = || writing.write_until_closed(&mut sink, maintenance);
            if panic::catch_unwind(AssertUnwindSafe(write)).is_err() {
                writing.fail_after_panic();
            }
        });
        let writer = writer
            .map_err(|error| StoreError::permanent("the writer could not be started", error))?;
        Ok(Self {
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Resolves when a write has failed for good. Nothing is acknowledged from then on, and the
    /// process must end: what is on the disk is known only to the next start.
    pub async fn failed(&self) {
        self.shared.failed.cancelled().await;
    }

    /// Writes everything, and closes the backend. Later operations fail.
    pub fn close(&self) {
        self.shared.journal.lock().close();
        self.shared.more.notify();
        if let Some(writer) = self.writer.lock().take() {
            // It has caught a panic of its own, and failed the store.
            let _ = writer.join();
        }
    }
}

impl Drop for DurableStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn open(archive: Arc<dyn Archive>) -> Result<Self, StoreError> {
        let heard = Arc::new(Heard::default());
        let live = load(&*archive, &heard)?;
        Ok(Self {
            instance: live.instance().clone(),
            live: ArcSwap::from_pointee(live),
            journal: Mutex::default(),
            more: More::default(),
            heard,
            progress: Progress::default(),
            archive,
            subscriber: RwLock::default(),
            full_since: Mutex::default(),
            failed: CancellationToken::new(),
        })
    }

    fn live(&self) -> Arc<MemoryStore> {
        self.live.load_full()
    }

    fn notify(&self, committed: &[Committed]) {
        if let Some(subscriber) = &*self.subscriber.read() {
            for committed in committed {
                subscriber.committed(committed);
            }
        }
    }
}

/// The live store, as the rows of the backend say.
fn load(archive: &dyn Archive, heard: &Arc<Heard>) -> Result<MemoryStore, StoreError> {
    let live = archive.load()?.captured();
    live.subscribe(Arc::clone(heard) as _);
    Ok(live)
}
