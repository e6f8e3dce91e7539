use std::{panic, sync::Arc};

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    domain::JobId,
    engine::{
        Call, Error,
        signals::{Follow, Watcher},
    },
    store::Store,
};

use super::{JobView, Jobs};

/// Most bytes of events in one message.
const BATCH_BYTES: usize = 64 * 1024;

/// A cursor on a job's list of events. Nothing is queued for it and nothing waits
/// for it: a slow reader finds the list longer, and takes more at a time.
pub struct Watch {
    jobs: Arc<Jobs>,
    id: JobId,
    follow: Follow,
    changes: watch::Receiver<i64>,
    /// Sequence of the newest event that was taken.
    cursor: i64,
    is_over: bool,
    _watcher: Watcher,
}

/// How a watch begins.
pub enum Opening {
    /// With the events after the sequence that the watcher knows.
    Events,
    /// With the whole job; the watcher asked for it.
    Snapshot(JobView),
    /// With the whole job; the watcher knows of events that the job does not have.
    Ahead(JobView),
}

impl Jobs {
    /// Watches a job from after an event that is known, or from now on.
    pub async fn watch(
        self: &Arc<Self>,
        call: &Call,
        id: JobId,
        last_seen: Option<i64>,
    ) -> Result<(Opening, Watch), Error> {
        // Followed before it is read: what changes in between is seen as a change.
        let follow = self.signals.follow(id);
        let changes = follow.changes();
        let view = self.get(call, id).await?;
        let newest = view.job.last_sequence;
        let (opening, cursor) = match last_seen {
            None => (Opening::Snapshot(view), newest),
            Some(seen) if seen > newest => (Opening::Ahead(view), newest),
            Some(seen) => (Opening::Events, seen),
        };
        let watch = Watch {
            jobs: Arc::clone(self),
            id,
            follow,
            changes,
            cursor,
            is_over: false,
            _watcher: self.signals.watcher(),
        };
        // The events of a job that has ended are all here from now on, even if the
        // job was about to expire while this watch began.
        watch.fill(newest).await?;
        Ok((opening, watch))
    }
}

impl Watch {
    /// Sequence of the newest event that was taken.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Takes the events that are there, in order, up to a bound of bytes: an encoded
    /// `WatchJobResponse`, or none if there are none.
    pub async fn take(&mut self) -> Result<Option<Bytes>, Error> {
        // Marked before the read: a later notification ends the next wait.
        let newest = *self.changes.borrow_and_update();
        self.fill(newest).await?;
        let mut encoded = self.follow.encoded().lock();
        let batch = encoded.after(self.cursor, BATCH_BYTES);
        if let Some(batch) = &batch {
            self.cursor = batch.last_sequence;
        }
        self.is_over = encoded.ends_with(self.cursor);
        Ok(batch.map(|batch| batch.message))
    }

    /// The job had ended at the last read, and its last event was taken.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Waits until there may be events to take. May be dropped and called again at
    /// any time.
    pub async fn changed(&mut self) {
        // The jobs, and with them the sender, live as long as this watch.
        let _ = self.changes.changed().await;
    }

    /// Extends the encoded events up to one that the store has.
    async fn fill(&self, newest: i64) -> Result<(), Error> {
        if self.follow.encoded().lock().last_sequence() >= newest {
            return Ok(());
        }
        // In a task of its own: a response stream is not polled while its client does not
        // read, and would keep the lock, or its place at the head of the queue for it.
        let follow = self.jobs.signals.follow(self.id);
        let store = Arc::clone(self.jobs.journal.store());
        let filled = fill(follow, store, self.id, newest);
        let filled = AbortOnDropHandle::new(tokio::spawn(filled)).await;
        filled.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => Err(Error::Stopping),
        })
    }
}

/// Of concurrent calls, the first reads the store.
async fn fill(follow: Follow, store: Arc<dyn Store>, id: JobId, newest: i64) -> Result<(), Error> {
    let encoded = follow.encoded();
    let _one_at_a_time = follow.filling().await;
    let known = encoded.lock().last_sequence();
    if known < newest {
        let mark = store.mark();
        let events = store.events(id, known).await?;
        let events = events.ok_or_else(|| Error::JobNotFound(id.to_string()))?;
        store.settled(mark).await?;
        encoded.lock().extend(&events);
    }
    Ok(())
}
