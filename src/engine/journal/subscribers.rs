use std::sync::{Arc, OnceLock};

use crate::store::{Change, CommitSubscriber, Committed};

/// A local cache of who waits for what, which every commit keeps right: wake-ups, metrics,
/// and what has to be done next. It learns of each change in this process, own and foreign
/// alike, and must not block. It holds nothing that commits, so that nothing goes round in a
/// circle.
pub(in crate::engine) trait Subscriber: Send + Sync + 'static {
    /// A change is durable and can be read.
    fn changed(&self, change: &Change);
}

/// All subscribers, in the order in which they are told.
#[derive(Default)]
pub(in crate::engine) struct Subscribers(OnceLock<Vec<Arc<dyn Subscriber>>>);

impl Subscribers {
    /// Names them, once, before anything is committed.
    pub(in crate::engine) fn set(&self, subscribers: Vec<Arc<dyn Subscriber>>) {
        let first = self.0.set(subscribers);
        debug_assert!(first.is_ok(), "the subscribers are named once");
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
