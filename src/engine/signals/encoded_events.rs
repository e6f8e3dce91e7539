//! A job's events as its watchers get them, encoded once for all of them.

mod segment;

use crate::{
    domain::{Change, Event, Job},
    proto::event_to_proto,
};

pub(in crate::engine) use segment::Batch;
use segment::Segment;

/// A job's events as messages, from the first on, up to the newest that was
/// requested.
#[derive(Default)]
pub(in crate::engine) struct EncodedEvents {
    job: Option<Job>,
    segment: Segment,
}

impl EncodedEvents {
    /// Sequence of the newest encoded event.
    pub(in crate::engine) fn last_sequence(&self) -> i64 {
        self.segment.last_sequence()
    }

    /// The job has ended, and this is the sequence of its last event.
    pub(in crate::engine) fn ends_with(&self, sequence: i64) -> bool {
        let is_complete = self.job.as_ref().is_some_and(|job| job.state.is_terminal());
        is_complete && sequence >= self.last_sequence()
    }

    /// Adds events from the store; skips those that are encoded already.
    pub(in crate::engine) fn extend(&mut self, events: &[Event]) {
        for event in events {
            if event.sequence == self.last_sequence() + 1 {
                self.push(event);
            }
        }
    }

    fn push(&mut self, event: &Event) {
        let job = match (&mut self.job, &event.change) {
            (job, Change::Created(created)) => job.insert(created.job()),
            (Some(job), _) => {
                job.apply(event);
                job
            }
            (None, _) => unreachable!("event 1 makes the job"),
        };
        self.segment.push(&event_to_proto(job, event));
    }

    /// Events after a sequence: at least one if there is one, and no more than fit into
    /// `most_bytes`.
    pub(in crate::engine) fn after(&mut self, sequence: i64, most_bytes: usize) -> Option<Batch> {
        self.segment.after(sequence, most_bytes)
    }
}
