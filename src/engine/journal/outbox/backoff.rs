use std::time::Duration;

use crate::engine::jitter::jitter;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The pause after this many attempts: it doubles from 1 s to 1 h, less a random
/// part of up to a half, so that messages that failed together are not retried
/// together.
pub(super) fn pause(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let longest = (FIRST * 2u32.pow(doublings)).min(LONGEST);
    longest.mul_f64(1.0 - jitter() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        for (attempts, longest) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 4),
            (12, 2048),
            (13, 3600),
            (99, 3600),
        ] {
            let pause = pause(attempts).as_secs_f64();
            let longest = f64::from(longest);
            assert!(
                (longest / 2.0..=longest).contains(&pause),
                "{attempts}: {pause}"
            );
        }
    }
}
