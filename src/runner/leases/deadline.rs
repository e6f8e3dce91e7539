//! When a lease ends at the latest, as far as the runner knows.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};

use crate::supervisor::Clock;

/// Longest time between two reads of the clock, which no timer here follows.
const LOOK: Duration = Duration::from_secs(1);

/// The time after which nothing may run under a lease any more; none before the
/// lease is confirmed.
pub(in crate::runner) struct Deadline {
    clock: Clock,
    at: watch::Sender<Option<u64>>,
}

impl Deadline {
    pub(in crate::runner) fn new(clock: Clock) -> Self {
        Self {
            clock,
            at: watch::Sender::new(None),
        }
    }

    /// The clock that deadlines are measured by.
    pub(in crate::runner) fn clock(&self) -> Clock {
        self.clock
    }

    /// A lease is valid for `ttl` from `sent` on. A sixth of it is reserved for the kill,
    /// so that the next attempt never overlaps with this one.
    pub(in crate::runner) fn extend(&self, sent: u64, ttl: Duration) {
        let fence = u64::try_from((ttl - ttl / 6).as_nanos()).unwrap_or(u64::MAX);
        let deadline = Some(sent.saturating_add(fence));
        // Two calls may overlap, and the answer to the earlier one may arrive last.
        self.at.send_if_modified(|known| {
            let later = deadline > *known;
            if later {
                *known = deadline;
            }
            later
        });
    }

    pub(in crate::runner) fn get(&self) -> Option<u64> {
        *self.at.borrow()
    }

    /// The deadlines that are set from now on.
    pub(in crate::runner) fn changes(&self) -> Changes {
        Changes(self.at.subscribe())
    }

    /// Waits until it has passed.
    pub(in crate::runner) async fn passed(&self) {
        loop {
            let left = self.get().map_or(u64::MAX, |deadline| {
                deadline.saturating_sub(self.clock.now())
            });
            if left == 0 {
                return;
            }
            // Not for longer: the timer does not advance while the machine is suspended.
            sleep(LOOK.min(Duration::from_nanos(left))).await;
        }
    }
}

/// Later deadlines.
pub(in crate::runner) struct Changes(watch::Receiver<Option<u64>>);

impl Changes {
    /// Waits for the next one.
    pub(in crate::runner) async fn next(&mut self) -> u64 {
        loop {
            if self.0.changed().await.is_err() {
                return std::future::pending().await;
            }
            if let Some(deadline) = *self.0.borrow_and_update() {
                return deadline;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_does_not_shorten_it() {
        let deadline = Deadline::new(Clock::Wall);
        deadline.extend(1_000_000_000, Duration::from_secs(30));
        assert_eq!(deadline.get(), Some(26_000_000_000));
        deadline.extend(0, Duration::from_secs(30));
        assert_eq!(deadline.get(), Some(26_000_000_000));
    }

    #[tokio::test]
    async fn it_passes() {
        let deadline = Deadline::new(Clock::Wall);
        deadline.extend(0, Duration::ZERO);
        deadline.passed().await;
    }
}
