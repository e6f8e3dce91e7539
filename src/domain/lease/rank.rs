use std::time::SystemTime;

/// The place of a ready stage in the queue; the lowest goes first.
///
/// Ten seconds of waiting count as one step of priority. Of two stages the order
/// by `priority + waiting / 10 s` never changes while both wait, so one number
/// that is fixed when the stage becomes ready is enough: the time at which it
/// would have become ready at priority 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueRank(i64);

impl QueueRank {
    /// The rank of a stage that became ready at `queue_time`.
    pub fn new(queue_time: SystemTime, priority: i32) -> Self {
        const MICROS_PER_STEP: i64 = 10_000_000;
        Self(micros(queue_time).saturating_sub(i64::from(priority) * MICROS_PER_STEP))
    }
}

/// Good for 292,000 years on either side.
fn micros(time: SystemTime) -> i64 {
    let signed = |micros: u128| i64::try_from(micros).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => signed(after.as_micros()),
        Err(before) => -signed(before.duration().as_micros()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn priority_wins_until_ten_seconds_of_waiting_outweigh_it() {
        // Same priority: who waits longer.
        assert!(QueueRank::new(at(100), 0) < QueueRank::new(at(101), 0));
        // One step of priority is worth ten seconds, and no more.
        assert!(QueueRank::new(at(109), 1) < QueueRank::new(at(100), 0));
        assert!(QueueRank::new(at(111), 1) > QueueRank::new(at(100), 0));
        // The whole range of priorities is made good by waiting.
        assert!(QueueRank::new(at(2_101), 100) > QueueRank::new(at(100), -100));
    }

    proptest! {
        /// The fixed rank orders as `priority + waiting / 10 s` does, at any moment.
        #[test]
        fn a_rank_is_the_priority_that_grows_with_waiting(
            (a, b) in (0..5_000u64, 0..5_000u64),
            (p, q) in (-100..=100i32, -100..=100i32),
            later in 5_000..10_000u64,
        ) {
            // In tenths of a step: seconds of waiting and ten for each priority.
            let claim = |since: u64, priority: i32| i64::from(priority) * 10 + (later - since) as i64;
            let by_claim = claim(b, q).cmp(&claim(a, p));
            prop_assert_eq!(QueueRank::new(at(a), p).cmp(&QueueRank::new(at(b), q)), by_claim);
        }
    }
}
