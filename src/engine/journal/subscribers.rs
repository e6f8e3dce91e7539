use std::sync::{Arc, OnceLock};

use crate::store::{Change, CommitSubscriber, Committed};

/// A local cache that every commit updates: wake-ups of waiters, metrics, and
/// pending work. It is notified of each change in this process, from any source,
/// and must not block. It holds nothing that commits, so that there is no cycle.
pub(in crate::engine) trait Subscriber: Send + Sync + 'static {
    /// A change is durable and can be read.
    fn changed(&self, change: &Change);
}

/// All subscribers, in the order of their notification.
#[derive(Default)]
pub(in crate::engine) struct Subscribers(OnceLock<Vec<Arc<dyn Subscriber>>>);

impl Subscribers {
    /// Sets the subscribers, once, before anything is committed.
    pub(in crate::engine) fn set(&self, subscribers: Vec<Arc<dyn Subscriber>>) {
        let first = self.0.set(subscribers);
        debug_assert!(first.is_ok(), "the subscribers are set once");
    }
}

impl CommitSubscriber for Subscribers {
    fn committed(&self, committed: &Committed) {
        let subscribers = self.0.get().map_or(&[][..], Vec::as_slice);
        for change in &committed.changes {
            for subscriber in subscribers {
                subscriber.changed(change);
            }
        }
    }
}
