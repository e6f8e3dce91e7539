//! Trying again what failed for now.

use std::time::Duration;

use super::LeaseError;

/// How often a call that has to end is tried; with the delays, about 3 s.
const TRIES: u32 = 6;

/// Delay before the next try after `failures` in a row: 100 ms, doubling up to 5 s.
pub(super) fn delay(failures: u32) -> Duration {
    let factor = 2u32.saturating_pow(failures.saturating_sub(1));
    (Duration::from_millis(100) * factor.min(50)).min(Duration::from_secs(5))
}

/// Makes the call until it answers, is refused for good, or has failed `TRIES` times.
pub(super) async fn retried<T, F>(mut call: impl FnMut() -> F) -> Result<T, LeaseError>
where
    F: Future<Output = Result<T, LeaseError>>,
{
    let mut failures = 0;
    loop {
        match call().await {
            Err(LeaseError::Failed(_)) if failures + 1 < TRIES => failures += 1,
            answer => return answer,
        }
        tokio::time::sleep(delay(failures)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_bound() {
        let millis = |failures| delay(failures).as_millis();
        assert_eq!([1, 2, 3].map(millis), [100, 200, 400]);
        assert_eq!(millis(u32::MAX), 5_000);
    }
}
