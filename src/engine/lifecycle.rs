use std::sync::Arc;

use tokio::sync::{Notify, futures::OwnedNotified};
use tokio_util::sync::CancellationToken;

use crate::store::Change;

use super::journal::Subscriber;

/// The shutdown state of the service; shared by all parts.
#[derive(Clone, Default)]
pub(super) struct Lifecycle {
    stopping: CancellationToken,
    closing: CancellationToken,
    jobs_changed: Arc<Notify>,
}

impl Lifecycle {
    /// No new jobs and no new leases.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    pub(super) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Streams end, and ask their readers to reconnect.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    pub(super) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Resolves when a job was created or has ended since this call.
    pub(super) fn jobs_changed(&self) -> OwnedNotified {
        Arc::clone(&self.jobs_changed).notified_owned()
    }
}

impl Subscriber for Lifecycle {
    fn changed(&self, change: &Change) {
        if matches!(change, Change::Job(change) if change.is_new || change.is_over) {
            self.jobs_changed.notify_waiters();
        }
    }
}
