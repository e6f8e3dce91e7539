//! Retries with exponential backoff.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::runner::LeaseError;

/// Delay before the next attempt after `failures` in a row: 100 ms, doubling up to 5 s,
/// shortened by up to a half at random, so that runners that lost the same service do
/// not return at the same time.
pub(in crate::runner) fn delay(failures: u32) -> Duration {
    longest(failures).mul_f64(rand::random_range(0.5..=1.0))
}

fn longest(failures: u32) -> Duration {
    let factor = 2u32.saturating_pow(failures.saturating_sub(1));
    (Duration::from_millis(100) * factor.min(50)).min(Duration::from_secs(5))
}

/// Retries the call until it succeeds, is refused permanently, or fails after `limit` has
/// passed: a service may be unreachable for a while.
pub(in crate::runner) async fn retried<T, F>(
    limit: Duration,
    mut call: impl FnMut() -> F,
) -> Result<T, LeaseError>
where
    F: Future<Output = Result<T, LeaseError>>,
{
    let until = Instant::now() + limit;
    let mut failures = 0;
    loop {
        match call().await {
            Err(LeaseError::Failed(_)) if Instant::now() < until => failures += 1,
            answer => return answer,
        }
        sleep(delay(failures)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn delays_double_up_to_a_bound_and_differ() {
        let millis = |failures| longest(failures).as_millis();
        assert_eq!([1, 2, 3].map(millis), [100, 200, 400]);
        assert_eq!(millis(u32::MAX), 5_000);
        let full = Duration::from_secs(5);
        let delays: Vec<_> = (0..10).map(|_| delay(u32::MAX)).collect();
        assert!(delays.iter().all(|delay| (full / 2..=full).contains(delay)));
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_made_until_its_limit_and_no_longer() {
        let calls = Cell::new(0);
        let began = Instant::now();
        let answer: Result<(), _> = retried(Duration::from_secs(30), async || {
            calls.set(calls.get() + 1);
            Err(LeaseError::Failed("away".to_owned()))
        })
        .await;
        assert!(matches!(answer, Err(LeaseError::Failed(_))));
        let took = began.elapsed().as_secs();
        assert!((30..=35).contains(&took), "{took} s, {} calls", calls.get());
    }
}
