use std::time::{Duration, SystemTime};

/// Most seconds of a duration, by the definition of its message: about 10,000 years.
const MAX_SECONDS: u64 = 315_576_000_000;

/// A duration of a message, which may be negative or not well-formed, as the domain's. None
/// that is returned overflows when it is added to a time.
pub fn duration_from_proto(duration: prost_types::Duration) -> Result<Duration, String> {
    let prost_types::Duration { seconds, nanos } = duration;
    if seconds < 0 || nanos < 0 {
        return Err("must not be negative".to_owned());
    }
    let seconds = seconds.unsigned_abs();
    if seconds > MAX_SECONDS {
        return Err(format!(
            "has {seconds} seconds; at most {MAX_SECONDS} are allowed"
        ));
    }
    if nanos > 999_999_999 {
        return Err(format!("has {nanos} nanos; must be 0 to 999999999"));
    }
    Ok(Duration::new(seconds, nanos.unsigned_abs()))
}

/// Converts a duration of the domain.
pub fn duration_to_proto(duration: Duration) -> prost_types::Duration {
    // The domain's durations are at most hours.
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// Converts a time.
pub fn time_to_proto(time: SystemTime) -> prost_types::Timestamp {
    prost_types::Timestamp::from(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_durations_are_taken() {
        let read = |seconds, nanos| duration_from_proto(prost_types::Duration { seconds, nanos });
        assert_eq!(read(1, 5), Ok(Duration::new(1, 5)));
        assert_eq!(read(0, 999_999_999), Ok(Duration::from_nanos(999_999_999)));
        let longest = read(315_576_000_000, 999_999_999).unwrap();
        assert!(SystemTime::now().checked_add(longest).is_some());
        assert!(tokio::time::Instant::now().checked_add(longest).is_some());
        for (seconds, nanos) in [
            (-1, 0),
            (0, -1),
            (i64::MIN, i32::MIN),
            (5, -1),
            (-5, 1),
            (1, 1_000_000_000),
            (1, i32::MAX),
            (315_576_000_001, 0),
            (i64::MAX, 0),
        ] {
            assert!(read(seconds, nanos).is_err(), "{seconds} s {nanos} ns");
        }
    }
}
