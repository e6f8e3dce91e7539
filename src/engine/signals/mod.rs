//! One signal for each followed job. It notifies all its followers together.

mod encoded_events;

use std::{sync::Arc, time::Duration};

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::{
    sync::{self, Notify, watch},
    time::{self, Instant},
};

use crate::{domain::JobId, engine::journal::Subscriber, store::Change};

use encoded_events::EncodedEvents;

/// The interval in which the events of a busy job are coalesced.
const COALESCE_TIME: Duration = Duration::from_millis(20);

/// The followed jobs. Nothing is kept for the others: when a job is followed again,
/// its signal is rebuilt from the events in the store.
pub(in crate::engine) struct Signals {
    jobs: DashMap<JobId, Arc<Signal>>,
    /// Notified when a job is no longer followed: it may expire.
    unfollowed: Arc<Notify>,
    /// Each open stream holds a clone.
    watchers: Arc<()>,
}

/// Counts as an open stream until it is dropped.
pub(in crate::engine) struct Watcher(
    #[expect(dead_code, reason = "what counts is that it is there")] Arc<()>,
);

/// Shared by the followers of one job.
struct Signal {
    /// The newest event that the followers were notified about.
    notified: watch::Sender<i64>,
    pace: Mutex<Pace>,
    encoded: Mutex<EncodedEvents>,
    /// Held while the events are encoded, so that of a thousand notified followers one
    /// reads the store.
    filling: sync::Mutex<()>,
}

/// When followers are notified: immediately after a pause, and in intervals while
/// the job is busy, so that none of them is woken for each event.
#[derive(Default)]
struct Pace {
    newest: i64,
    notified_at: Option<Instant>,
    /// A delayed notification is scheduled.
    is_scheduled: bool,
}

/// Holds a job's signal, and keeps the job from expiring until the last one is
/// dropped.
pub(in crate::engine) struct Follow {
    id: JobId,
    /// `None` only during the drop.
    signal: Option<Arc<Signal>>,
    signals: Arc<Signals>,
}

impl Signals {
    pub(in crate::engine) fn new(unfollowed: Arc<Notify>) -> Self {
        Self {
            jobs: DashMap::new(),
            unfollowed,
            watchers: Arc::default(),
        }
    }

    /// Counts a stream.
    pub(in crate::engine) fn watcher(&self) -> Watcher {
        Watcher(Arc::clone(&self.watchers))
    }

    pub(in crate::engine) fn watchers(&self) -> usize {
        Arc::strong_count(&self.watchers) - 1
    }

    /// Follows a job. A read of the job after this call misses no later change of it.
    pub(in crate::engine) fn follow(self: &Arc<Self>, id: JobId) -> Follow {
        let signal = Arc::clone(
            &self
                .jobs
                .entry(id)
                .or_insert_with(|| Arc::new(Signal::new())),
        );
        Follow {
            id,
            signal: Some(signal),
            signals: Arc::clone(self),
        }
    }

    /// Notifies the followers of a job, if there are any, of events up to this
    /// sequence: soon, and immediately after a pause or if there will be no more.
    pub(in crate::engine) fn notify(
        self: &Arc<Self>,
        id: JobId,
        last_sequence: i64,
        is_over: bool,
    ) {
        let Some(signal) = self.jobs.get(&id).map(|signal| Arc::clone(&signal)) else {
            return;
        };
        // The task is a follower itself: the last one to be dropped releases the job.
        let follow = Follow {
            id,
            signal: Some(signal),
            signals: Arc::clone(self),
        };
        if let Some(due) = follow.signal().note(last_sequence, is_over) {
            tokio::spawn(async move {
                time::sleep_until(due).await;
                follow.signal().notify_scheduled();
            });
        }
    }

    pub(in crate::engine) fn is_followed(&self, id: JobId) -> bool {
        self.jobs.contains_key(&id)
    }
}

/// Notifies the followers of each job that changes.
pub(in crate::engine) struct Followers(pub(in crate::engine) Arc<Signals>);

impl Subscriber for Followers {
    fn changed(&self, change: &Change) {
        if let Change::Job(change) = change {
            let job = &change.job;
            self.0.notify(job.id, job.last_sequence, change.is_over);
        }
    }
}

impl Signal {
    fn new() -> Self {
        Self {
            notified: watch::Sender::new(0),
            pace: Mutex::default(),
            encoded: Mutex::default(),
            filling: sync::Mutex::default(),
        }
    }

    /// Records an event. Returns when a delayed notification has to be sent, if one is
    /// needed.
    fn note(&self, sequence: i64, is_last: bool) -> Option<Instant> {
        let mut pace = self.pace.lock();
        // The sequence only ever rises, whatever the order of the store's notifications.
        if sequence <= pace.newest {
            return None;
        }
        pace.newest = sequence;
        let due = pace
            .notified_at
            .map(|notified_at| notified_at + COALESCE_TIME);
        match due.filter(|due| !is_last && Instant::now() < *due) {
            None => {
                self.notify(&mut pace);
                None
            }
            Some(_) if pace.is_scheduled => None,
            Some(due) => {
                pace.is_scheduled = true;
                Some(due)
            }
        }
    }

    /// Sends the scheduled notification.
    fn notify_scheduled(&self) {
        let mut pace = self.pace.lock();
        pace.is_scheduled = false;
        if *self.notified.borrow() < pace.newest {
            self.notify(&mut pace);
        }
    }

    fn notify(&self, pace: &mut Pace) {
        pace.notified_at = Some(Instant::now());
        self.notified.send_replace(pace.newest);
    }
}

impl Follow {
    /// The newest sequence; changes soon after the job has changed.
    pub(in crate::engine) fn changes(&self) -> watch::Receiver<i64> {
        self.signal().notified.subscribe()
    }

    pub(in crate::engine) fn encoded(&self) -> &Mutex<EncodedEvents> {
        &self.signal().encoded
    }

    /// The right to encode further events.
    pub(in crate::engine) async fn filling(&self) -> sync::MutexGuard<'_, ()> {
        self.signal().filling.lock().await
    }

    fn signal(&self) -> &Signal {
        self.signal.as_deref().expect("taken only on drop")
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.signal = None;
        // Under the shard's lock no one can begin to follow, so the count is exact.
        let is_last = |_: &JobId, signal: &Arc<Signal>| Arc::strong_count(signal) == 1;
        if self.signals.jobs.remove_if(&self.id, is_last).is_some() {
            self.signals.unfollowed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use uuid::Uuid;

    use super::*;

    const JOB: JobId = JobId(Uuid::nil());

    fn signals() -> (Arc<Signals>, Arc<Notify>) {
        let retention = Arc::new(Notify::new());
        (Arc::new(Signals::new(Arc::clone(&retention))), retention)
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_job_notifies_immediately_and_a_busy_one_in_intervals() {
        let (signals, _) = signals();
        let follow = signals.follow(JOB);
        let mut changes = follow.changes();
        let mut notified = Vec::new();
        for sequence in 1..=6 {
            signals.notify(JOB, sequence, false);
            time::sleep(Duration::from_millis(9)).await;
            if changes.has_changed().unwrap() {
                notified.push((sequence, *changes.borrow_and_update()));
            }
        }
        assert_eq!(notified, [(1, 1), (3, 3), (5, 5)]);
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow_and_update(), 6);

        time::sleep(COALESCE_TIME * 2).await;
        signals.notify(JOB, 7, false);
        assert!(changes.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_job_notifies_immediately_and_sequences_only_rise() {
        let (signals, _) = signals();
        let follow = signals.follow(JOB);
        let mut changes = follow.changes();
        signals.notify(JOB, 1, false);
        signals.notify(JOB, 3, true);
        assert_eq!(*changes.borrow_and_update(), 3);
        signals.notify(JOB, 2, false);
        time::sleep(COALESCE_TIME * 2).await;
        assert!(!changes.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_unfollowed_after_its_last_follower_and_scheduled_notification() {
        let (signals, retention) = signals();
        let follow = signals.follow(JOB);
        signals.notify(JOB, 1, false);
        signals.notify(JOB, 2, false);
        drop(follow);
        let mut forgotten = pin!(retention.notified());
        assert!(signals.is_followed(JOB));
        forgotten.as_mut().await;
        assert!(!signals.is_followed(JOB));
    }
}
