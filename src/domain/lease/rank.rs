use std::time::SystemTime;

/// The rank of a ready stage in the queue; the lowest is dispatched first.
///
/// Ten seconds of waiting count as one step of priority. The order of two stages by
/// `priority + waiting / 10 s` never changes while both wait. So one number, fixed when the
/// stage becomes ready, is enough: the time at which a stage of priority 0 with the same rank
/// became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueRank(i64);

impl QueueRank {
    /// `queue_time` is when the stage became ready.
    pub fn new(queue_time: SystemTime, priority: i32) -> Self {
        const MICROS_PER_STEP: i64 = 10_000_000;
        Self(micros(queue_time).saturating_sub(i64::from(priority) * MICROS_PER_STEP))
    }
}

/// Microseconds since the epoch; saturates only after 292,000 years.
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
        // Same priority: the stage that waits longer.
        assert!(QueueRank::new(at(100), 0) < QueueRank::new(at(101), 0));
        // One step of priority is worth exactly ten seconds.
        assert!(QueueRank::new(at(109), 1) < QueueRank::new(at(100), 0));
        assert!(QueueRank::new(at(111), 1) > QueueRank::new(at(100), 0));
        // Waiting outweighs the whole range of priorities.
        assert!(QueueRank::new(at(2_101), 100) > QueueRank::new(at(100), -100));
    }

    proptest! {
        /// At any time, the rank orders stages as `priority + waiting / 10 s` does.
        #[test]
        fn ranks_order_stages_by_priority_and_waiting(
            (a, b) in (0..5_000u64, 0..5_000u64),
            (p, q) in (-100..=100i32, -100..=100i32),
            later in 5_000..10_000u64,
        ) {
            // In tenths of a step: one per second of waiting, ten per step of priority.
            let claim = |since: u64, priority: i32| i64::from(priority) * 10 + (later - since) as i64;
            let by_claim = claim(b, q).cmp(&claim(a, p));
            prop_assert_eq!(QueueRank::new(at(a), p).cmp(&QueueRank::new(at(b), q)), by_claim);
        }
    }
}
