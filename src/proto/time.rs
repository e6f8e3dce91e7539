use std::time::{Duration, SystemTime};

/// A duration of a message, which may be negative or out of range, as the domain's.
pub fn duration_from_proto(duration: prost_types::Duration) -> Result<Duration, String> {
    Duration::try_from(duration).map_err(|_| "must not be negative".to_owned())
}

/// A duration of the domain, as messages have it.
pub fn duration_to_proto(duration: Duration) -> prost_types::Duration {
    // Durations of the domain are bounded by hours.
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A time, as messages have it.
pub fn time_to_proto(time: SystemTime) -> prost_types::Timestamp {
    prost_types::Timestamp::from(time)
}
