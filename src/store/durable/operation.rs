use std::{ops::Deref, sync::Arc};

use futures_util::FutureExt;
use parking_lot::MutexGuard;
use tokio::sync::oneshot;

use crate::store::{MemoryStore, StoreError};

use super::{Shared, journal::Journal};

/// An operation on the live store, alone until it ends.
pub(super) struct Operation<'a> {
    shared: &'a Shared,
    journal: MutexGuard<'a, Journal>,
    live: Arc<MemoryStore>,
}

/// What an operation changed, on its way to the disk.
pub(super) struct Ticket(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl Shared {
    /// # Errors
    /// If the store is closed or has failed.
    pub(super) fn begin(&self) -> Result<Operation<'_>, StoreError> {
        let journal = self.journal.lock();
        if let Some(error) = &journal.closed {
            return Err(error.clone());
        }
        Ok(Operation {
            shared: self,
            live: self.live(),
            journal,
        })
    }
}

impl Operation<'_> {
    /// Ends an operation whose changes the caller waits for.
    pub(super) fn end(mut self) -> Ticket {
        let rows = self.live.take_changes();
        let committed = self.shared.heard.take();
        if rows.is_empty() && committed.is_empty() {
            return Ticket(None);
        }
        let is_done = self.journal.push(rows, committed);
        self.shared.more.notify();
        Ticket(Some(is_done))
    }

    /// Ends an operation whose changes may be lost.
    pub(super) fn end_lazily(mut self) {
        let rows = self.live.take_changes();
        self.journal.push_lazily(rows);
    }
}

impl Deref for Operation<'_> {
    type Target = MemoryStore;

    fn deref(&self) -> &MemoryStore {
        &self.live
    }
}

impl Ticket {
    /// Resolves when the changes are durable.
    ///
    /// # Errors
    /// If they could not be written: nothing of them has happened.
    pub(super) async fn durable(self) -> Result<(), StoreError> {
        match self.0 {
            None => Ok(()),
            Some(is_done) => is_done
                .await
                .unwrap_or_else(|_| Err(StoreError::transient("it was closed"))),
        }
    }
}

/// The result of an operation of the live store.
pub(super) fn ready<T>(operation: impl Future<Output = T>) -> T {
    let result = operation.now_or_never();
    result.expect("a memory store never waits")
}
