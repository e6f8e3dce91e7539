//! One signal for each job that somebody follows. It notifies all of them at once.

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

/// While a job is busy, its followers are told this often.
const GATHER_TIME: Duration = Duration::from_millis(20);

/// Jobs that are followed. Nothing is kept for the others: their signals come back
/// when somebody follows them, from the events in the store.
pub(in crate::engine) struct Signals {
    jobs: DashMap<JobId, Arc<Signal>>,
    /// Notified when a job is followed no more: it may expire.
    unfollowed: Arc<Notify>,
    /// Each open stream has a copy.
    watchers: Arc<()>,
}

/// Counts as an open stream until it is dropped.
pub(in crate::engine) struct Watcher(
    #[expect(dead_code, reason = "what counts is that it is there")] Arc<()>,
);

/// What the followers of one job share.
struct Signal {
    /// The newest event that they were told of.
    told: watch::Sender<i64>,
    pace: Mutex<Pace>,
    encoded: Mutex<EncodedEvents>,
    /// Held by who fills the feed, so that of a thousand who are told one asks the store.
    filling: sync::Mutex<()>,
}

/// When followers are told: at once after a silence, and while the job is busy only now
/// and then, so that none of them is woken for each event.
#[derive(Default)]
struct Pace {
    newest: i64,
    told_at: Option<Instant>,
    /// Somebody will tell them.
    is_arranged: bool,
}

/// Holds a job's signal, and keeps the job from expiring until the last one is dropped.
pub(in crate::engine) struct Follow {
    id: JobId,
    /// Given back on drop.
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

    /// How many streams are open.
    pub(in crate::engine) fn watchers(&self) -> usize {
        Arc::strong_count(&self.watchers) - 1
    }

    /// Follows a job. Whoever then reads the job misses no later change of it.
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

    /// Tells the followers of a job, if there are any, that it has events up to this
    /// one: soon, and at once if it was silent or there will be no more.
    pub(in crate::engine) fn tell(self: &Arc<Self>, id: JobId, last_sequence: i64, is_over: bool) {
        let Some(signal) = self.jobs.get(&id).map(|signal| Arc::clone(&signal)) else {
            return;
        };
        // A follower itself: whoever is dropped last lets the job go.
        let follow = Follow {
            id,
            signal: Some(signal),
            signals: Arc::clone(self),
        };
        if let Some(due) = follow.signal().note(last_sequence, is_over) {
            tokio::spawn(async move {
                time::sleep_until(due).await;
                follow.signal().tell_now();
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
            self.0.tell(job.id, job.last_sequence, change.is_over);
        }
    }
}

impl Signal {
    fn new() -> Self {
        Self {
            told: watch::Sender::new(0),
            pace: Mutex::default(),
            encoded: Mutex::default(),
            filling: sync::Mutex::default(),
        }
    }

    /// Notes an event. Answers when somebody has to tell of it.
    fn note(&self, sequence: i64, is_last: bool) -> Option<Instant> {
        let mut pace = self.pace.lock();
        // The number only ever rises, whatever order a store tells its commits in.
        if sequence <= pace.newest {
            return None;
        }
        pace.newest = sequence;
        let due = pace.told_at.map(|told_at| told_at + GATHER_TIME);
        match due.filter(|due| !is_last && Instant::now() < *due) {
            None => {
                self.tell(&mut pace);
                None
            }
            Some(_) if pace.is_arranged => None,
            Some(due) => {
                pace.is_arranged = true;
                Some(due)
            }
        }
    }

    /// Tells what was noted since it was arranged.
    fn tell_now(&self) {
        let mut pace = self.pace.lock();
        pace.is_arranged = false;
        if *self.told.borrow() < pace.newest {
            self.tell(&mut pace);
        }
    }

    fn tell(&self, pace: &mut Pace) {
        pace.told_at = Some(Instant::now());
        self.told.send_replace(pace.newest);
    }
}

impl Follow {
    /// The newest event to know of: changes soon after the job has.
    pub(in crate::engine) fn changes(&self) -> watch::Receiver<i64> {
        self.signal().told.subscribe()
    }

    pub(in crate::engine) fn encoded(&self) -> &Mutex<EncodedEvents> {
        &self.signal().encoded
    }

    /// The right to fill the feed.
    pub(in crate::engine) async fn filling(&self) -> sync::MutexGuard<'_, ()> {
        self.signal().filling.lock().await
    }

    fn signal(&self) -> &Signal {
        self.signal.as_deref().expect("given back only on drop")
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.signal = None;
        // Under the shard's lock nobody can begin to follow, so the count is right.
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
    async fn a_silent_job_is_told_of_at_once_and_a_busy_one_now_and_then() {
        let (signals, _) = signals();
        let follow = signals.follow(JOB);
        let mut changes = follow.changes();
        let mut told = Vec::new();
        for sequence in 1..=6 {
            signals.tell(JOB, sequence, false);
            time::sleep(Duration::from_millis(9)).await;
            if changes.has_changed().unwrap() {
                told.push((sequence, *changes.borrow_and_update()));
            }
        }
        assert_eq!(told, [(1, 1), (3, 3), (5, 5)]);
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow_and_update(), 6);

        time::sleep(GATHER_TIME * 2).await;
        signals.tell(JOB, 7, false);
        assert!(changes.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_job_is_told_at_once_and_numbers_only_rise() {
        let (signals, _) = signals();
        let follow = signals.follow(JOB);
        let mut changes = follow.changes();
        signals.tell(JOB, 1, false);
        signals.tell(JOB, 3, true);
        assert_eq!(*changes.borrow_and_update(), 3);
        signals.tell(JOB, 2, false);
        time::sleep(GATHER_TIME * 2).await;
        assert!(!changes.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_read_no_more_once_its_last_follower_and_what_was_arranged_are_gone() {
        let (signals, retention) = signals();
        let follow = signals.follow(JOB);
        signals.tell(JOB, 1, false);
        signals.tell(JOB, 2, false);
        drop(follow);
        let mut forgotten = pin!(retention.notified());
        assert!(signals.is_followed(JOB));
        forgotten.as_mut().await;
        assert!(!signals.is_followed(JOB));
    }
}
