//! One signal for each job that somebody follows, and the job's events as
//! messages, made once for all who watch it.

use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{Notify, watch};

use crate::{
    domain::{Change, Event, Job, JobId},
    wire::{event_to_proto, v1},
};

/// Jobs that are followed. Nothing is kept for the others: their signals come back
/// when somebody follows them, from the events in the store.
pub(super) struct Signals {
    jobs: DashMap<JobId, Arc<Signal>>,
    /// Woken when a job is read no more.
    retention: Arc<Notify>,
    /// Each open stream has a copy.
    watchers: Arc<()>,
}

/// Counts as an open stream until it is dropped.
pub(super) struct Watcher(#[expect(dead_code, reason = "what counts is that it is there")] Arc<()>);

/// What the followers of one job share.
pub(super) struct Signal {
    last_sequence: watch::Sender<i64>,
    feed: Mutex<Feed>,
}

/// Holds a job's signal, and keeps the job from expiring until the last one is dropped.
pub(super) struct Follow {
    id: JobId,
    /// Given back on drop.
    signal: Option<Arc<Signal>>,
    signals: Arc<Signals>,
}

impl Signals {
    pub(super) fn new(retention: Arc<Notify>) -> Self {
        Self {
            jobs: DashMap::new(),
            retention,
            watchers: Arc::default(),
        }
    }

    /// Counts a stream.
    pub(super) fn watcher(&self) -> Watcher {
        Watcher(Arc::clone(&self.watchers))
    }

    /// How many streams are open.
    pub(super) fn watchers(&self) -> usize {
        Arc::strong_count(&self.watchers) - 1
    }

    /// Follows a job. Whoever then reads the job misses no later change of it.
    pub(super) fn follow(self: &Arc<Self>, id: JobId) -> Follow {
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

    /// Tells the followers of a job, if there are any, that it has events up to this one.
    pub(super) fn tell(&self, id: JobId, last_sequence: i64) {
        if let Some(signal) = self.jobs.get(&id) {
            // Commits are told in any order; the number only ever rises.
            signal.last_sequence.send_if_modified(|known| {
                let is_newer = last_sequence > *known;
                *known = last_sequence.max(*known);
                is_newer
            });
        }
    }

    pub(super) fn is_read(&self, id: JobId) -> bool {
        self.jobs.contains_key(&id)
    }
}

impl Signal {
    fn new() -> Self {
        Self {
            last_sequence: watch::Sender::new(0),
            feed: Mutex::default(),
        }
    }
}

impl Follow {
    /// Changes whenever the job does.
    pub(super) fn changes(&self) -> watch::Receiver<i64> {
        self.signal().last_sequence.subscribe()
    }

    pub(super) fn feed(&self) -> &Mutex<Feed> {
        &self.signal().feed
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
            self.signals.retention.notify_one();
        }
    }
}

/// A job's events as messages, from the first on, as far as somebody asked for them.
#[derive(Default)]
pub(super) struct Feed {
    job: Option<Job>,
    messages: Vec<(Arc<v1::JobEvent>, usize)>,
}

impl Feed {
    /// Sequence of the newest event that is here.
    pub(super) fn last_sequence(&self) -> i64 {
        i64::try_from(self.messages.len()).unwrap_or(i64::MAX)
    }

    /// The job has ended, and all of its events are here.
    pub(super) fn is_complete(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.state.is_terminal())
    }

    /// Adds events of the store; those that are here already are passed over.
    pub(super) fn extend(&mut self, events: &[Arc<Event>]) {
        for event in events {
            if event.sequence == self.last_sequence() + 1 {
                self.push(event);
            }
        }
    }

    fn push(&mut self, event: &Event) {
        let job = match (&mut self.job, &event.change) {
            (job, Change::Created(created)) => job.insert(Job::clone(created)),
            (Some(job), _) => {
                job.apply(event);
                job
            }
            (None, _) => unreachable!("event 1 makes the job"),
        };
        let message = event_to_proto(job, event);
        let size = message.encoded_len();
        self.messages.push((Arc::new(message), size));
    }

    /// Events after a sequence, in order: at least one if there is one, then no
    /// more than fit into so many bytes.
    pub(super) fn after(&self, sequence: i64, most_bytes: usize) -> Vec<Arc<v1::JobEvent>> {
        let seen = usize::try_from(sequence)
            .unwrap_or(0)
            .min(self.messages.len());
        let mut bytes = 0;
        self.messages[seen..]
            .iter()
            .take_while(|(_, size)| {
                let fits = bytes == 0 || bytes + size <= most_bytes;
                bytes += size;
                fits
            })
            .map(|(message, _)| Arc::clone(message))
            .collect()
    }

    /// Bytes of all events after a sequence, counted up to a bound.
    pub(super) fn bytes_after(&self, sequence: i64, bound: usize) -> usize {
        let seen = usize::try_from(sequence)
            .unwrap_or(0)
            .min(self.messages.len());
        let mut bytes = 0;
        for (_, size) in &self.messages[seen..] {
            bytes += size;
            if bytes >= bound {
                break;
            }
        }
        bytes
    }
}
