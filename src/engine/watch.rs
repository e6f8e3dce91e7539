use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{self, Instant},
};

use crate::{domain::JobId, wire::v1};

use super::{
    Call, Engine, Error, JobView,
    feed::{Follow, Watcher},
};

/// Once this much waits, it is sent without gathering more.
const GATHER_BYTES: usize = 4 * 1024;
/// While busy, events gather for this long before they are sent.
const GATHER_TIME: Duration = Duration::from_millis(20);
/// Most bytes of events in one message.
const BATCH_BYTES: usize = 64 * 1024;

/// A cursor on a job's list of events. Nothing is queued for it and nothing waits
/// for it: a slow reader finds the list longer, and takes more at a time.
pub struct Watch {
    engine: Arc<Engine>,
    id: JobId,
    follow: Follow,
    changes: watch::Receiver<i64>,
    /// Sequence of the newest event that was taken.
    cursor: i64,
    last_taken: Option<Instant>,
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

impl Engine {
    /// Watches a job from after an event that is known, or from now on.
    pub async fn watch_job(
        self: &Arc<Self>,
        call: &Call,
        id: JobId,
        last_seen: Option<i64>,
    ) -> Result<(Opening, Watch), Error> {
        // Followed before it is read: what changes in between is seen as a change.
        let follow = self.signals.follow(id);
        let changes = follow.changes();
        let view = self.get_job(call, id).await?;
        let newest = view.job.last_sequence;
        let (opening, cursor) = match last_seen {
            None => (Opening::Snapshot(view), newest),
            Some(seen) if seen > newest => (Opening::Ahead(view), newest),
            Some(seen) => (Opening::Events, seen),
        };
        let watch = Watch {
            engine: Arc::clone(self),
            id,
            follow,
            changes,
            cursor,
            last_taken: None,
            _watcher: self.signals.watcher(),
        };
        // The events of a job that has ended are all here from now on, even if the
        // job was about to expire while this watch began.
        watch.fill().await?;
        Ok((opening, watch))
    }
}

impl Watch {
    /// Sequence of the newest event that was taken.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Takes the events that are there, in order, up to a bound of bytes.
    pub async fn take(&mut self) -> Result<Vec<Arc<v1::JobEvent>>, Error> {
        self.fill().await?;
        let events = self.follow.feed().lock().after(self.cursor, BATCH_BYTES);
        if let Some(last) = events.last() {
            self.cursor = last.sequence;
            self.last_taken = Some(Instant::now());
        }
        Ok(events)
    }

    /// The job has ended, and its last event was taken.
    pub fn is_over(&self) -> bool {
        let feed = self.follow.feed().lock();
        feed.is_complete() && self.cursor >= feed.last_sequence()
    }

    /// Waits until there is an event to take: at once after a silence, and while
    /// busy until some have gathered. May be dropped and called again at any time.
    pub async fn ready(&mut self) -> Result<(), Error> {
        loop {
            self.changes.mark_unchanged();
            self.fill().await?;
            if self.waiting_bytes() > 0 {
                break;
            }
            // The engine, and with it the sender, lives as long as this watch.
            let _ = self.changes.changed().await;
        }
        self.gather().await
    }

    async fn gather(&mut self) -> Result<(), Error> {
        let Some(until) = self.last_taken.map(|taken| taken + GATHER_TIME) else {
            return Ok(());
        };
        while self.waiting_bytes() < GATHER_BYTES && !self.follow.feed().lock().is_complete() {
            self.changes.mark_unchanged();
            match time::timeout_at(until, self.changes.changed()).await {
                Ok(_) => self.fill().await?,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn waiting_bytes(&self) -> usize {
        self.follow
            .feed()
            .lock()
            .bytes_after(self.cursor, GATHER_BYTES)
    }

    /// Brings the feed up to the store. Two who do it at once add each event once.
    async fn fill(&self) -> Result<(), Error> {
        let known = {
            let feed = self.follow.feed().lock();
            if feed.is_complete() {
                return Ok(());
            }
            feed.last_sequence()
        };
        let events = self.engine.store.events(self.id, known).await?;
        let events = events.ok_or_else(|| Error::JobNotFound(self.id.to_string()))?;
        self.follow.feed().lock().extend(&events);
        Ok(())
    }
}
