//! Who goes first: among jobs of one pipeline, and among stages that are ready.

use std::time::SystemTime;

use super::ConcurrencyPolicy;

/// What becomes of a new job, and of those that are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It starts at once.
    Start,
    /// It waits until it is the oldest active job of its pipeline.
    Wait,
    /// The active ones are cancelled, and it waits for their end.
    Supersede,
}

/// Decides on a new job of a pipeline, given whether another one is active.
pub fn admission(policy: ConcurrencyPolicy, others_active: bool) -> Admission {
    match (policy, others_active) {
        (ConcurrencyPolicy::Allow, _) | (_, false) => Admission::Start,
        (ConcurrencyPolicy::Queue, true) => Admission::Wait,
        (ConcurrencyPolicy::CancelRunning, true) => Admission::Supersede,
    }
}

/// The place of a ready stage in the queue; the lowest goes first.
///
/// Ten seconds of waiting count as one step of priority. Of two stages the order
/// by `priority + waiting / 10 s` never changes while both wait, so one number
/// that is fixed when the stage becomes ready is enough: the time at which it
/// would have become ready at priority 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueRank(i128);

impl QueueRank {
    /// The rank of a stage that became ready at `queue_time`.
    pub fn new(queue_time: SystemTime, priority: i32) -> Self {
        const MICROS_PER_STEP: i128 = 10_000_000;
        Self(micros(queue_time) - i128::from(priority) * MICROS_PER_STEP)
    }
}

fn micros(time: SystemTime) -> i128 {
    let signed = |micros: u128| i128::try_from(micros).unwrap_or(i128::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => signed(after.as_micros()),
        Err(before) => -signed(before.duration().as_micros()),
    }
}
