use std::time::Duration;

use tokio::time::Instant;

use crate::engine::jitter::jitter;

use super::Ran;

const SHORTEST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// The time between two runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    /// No run before this time, even if woken.
    pub(super) earliest: Option<Instant>,
    /// The next run starts at this time, unless the task is woken earlier.
    pub(super) until: Instant,
}

impl Pause {
    pub(super) fn after_success(ran: Ran, period: Duration, now: Instant) -> Self {
        let latest = now + period;
        Self {
            earliest: None,
            until: ran.next.map_or(latest, |due| due.min(latest)),
        }
    }

    /// `failures` in a row, this one included.
    pub(super) fn after_failure(failures: u32, period: Duration, now: Instant) -> Self {
        let delay = longest_delay(failures)
            .mul_f64(1.0 - jitter() / 2.0)
            .min(period);
        Self {
            earliest: Some(now + SHORTEST_BACKOFF.min(delay)),
            until: now + delay,
        }
    }
}

/// Doubles from 2 s to 60 s. The delay is shortened by a random part of up to a
/// half, so that tasks that failed for the same reason do not all retry at the same
/// time.
fn longest_delay(failures: u32) -> Duration {
    // 2^6 s is over the longest backoff.
    (SHORTEST_BACKOFF * 2u32.pow(failures.min(6))).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_their_bounds() {
        let seconds = |failures| longest_delay(failures).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6].map(seconds), [2, 4, 8, 16, 32, 60]);
        assert_eq!(seconds(u32::MAX), 60);
    }

    #[test]
    fn a_backoff_is_random_and_never_longer_than_the_period() {
        let now = Instant::now();
        let delay = |failures, period| {
            let pause = Pause::after_failure(failures, period, now);
            assert!(
                pause
                    .earliest
                    .is_some_and(|earliest| earliest <= pause.until)
            );
            pause.until - now
        };
        let hour = Duration::from_secs(3600);
        let delays: Vec<_> = (0..20).map(|_| delay(1, hour)).collect();
        let bounds = SHORTEST_BACKOFF..=SHORTEST_BACKOFF * 2;
        assert!(delays.iter().all(|delay| bounds.contains(delay)));
        assert!(delays.iter().any(|delay| *delay != delays[0]));
        let period = Duration::from_millis(300);
        assert_eq!(delay(9, period), period);
    }
}
