//! Exponential backoff between attempts.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Delays from 100 ms, doubled up to 5 s, with a jitter of up to half, so that clients that
/// lost the same server do not reconnect at the same time.
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The next delay.
    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(LONGEST);
        delay.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// The next delay after a refusal: no shorter than the service asks for.
    pub(crate) fn after(&mut self, status: &Status) -> Duration {
        let asked = status.get_details_retry_info();
        let asked = asked.and_then(|info| info.retry_delay).unwrap_or_default();
        self.delay().max(asked)
    }

    /// Starts over, after a success.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn delays_grow_to_their_bound_and_start_over() {
        let mut backoff = Backoff::default();
        for full in [100, 200, 400, 800, 1600, 3200, 5000, 5000].map(Duration::from_millis) {
            let delay = backoff.delay();
            assert!(full / 2 <= delay && delay <= full, "{delay:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.delay() <= FIRST);
    }

    #[test]
    fn the_service_may_ask_for_a_longer_delay_but_not_for_a_shorter_one() {
        for (asked, expected) in [
            (
                Duration::from_secs(7),
                Duration::from_secs(7)..=Duration::from_secs(7),
            ),
            (Duration::ZERO, FIRST / 2..=FIRST),
        ] {
            let details = ErrorDetails::with_retry_info(Some(asked));
            let status = Status::with_error_details(Code::Unavailable, "busy", details);
            let delay = Backoff::default().after(&status);
            assert!(
                expected.contains(&delay),
                "{delay:?} where {asked:?} is asked for"
            );
        }
    }
}
