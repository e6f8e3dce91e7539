//! Ids, times, amounts and enums, shared by all forms.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use super::CodecError;

/// Nanoseconds since 1970, signed. Times before 1677 or after 2262 are clamped to
/// that range.
pub fn time_to_nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => {
            let nanos = i64::try_from(before.duration().as_nanos());
            nanos.map_or(i64::MIN, |nanos| -nanos)
        }
    }
}

/// The inverse of [`time_to_nanos`].
pub fn time_from_nanos(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 {
        SystemTime::UNIX_EPOCH - distance
    } else {
        SystemTime::UNIX_EPOCH + distance
    }
}

/// Nanoseconds of a duration, clamped to 584 years.
pub fn duration_to_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn id_to_bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

pub(super) fn id_from_bytes(bytes: &[u8], field: &'static str) -> Result<Uuid, CodecError> {
    Uuid::from_slice(bytes).map_err(|_| CodecError::Invalid {
        field,
        found: format!("{} bytes", bytes.len()),
        expected: "an id of 16 bytes",
    })
}

/// Converts a percentage or a small count.
pub(super) fn small(number: u32, field: &'static str) -> Result<u8, CodecError> {
    u8::try_from(number).map_err(|_| CodecError::Invalid {
        field,
        found: number.to_string(),
        expected: "at most 255",
    })
}

/// # Panics
/// If the position is 2³² or more; a pipeline has at most 200 stages.
pub(super) fn position_to_stored(stage: usize) -> u32 {
    u32::try_from(stage).expect("a pipeline has fewer than 2^32 stages")
}

pub(super) fn required<T>(value: Option<T>, field: &'static str) -> Result<T, CodecError> {
    value.ok_or(CodecError::Missing { field })
}

/// An enum of the domain with a stored number for each of its values.
pub(super) trait Numbered: Sized {
    fn number(self) -> i32;

    fn from_number(number: i32, field: &'static str) -> Result<Self, CodecError>;
}

/// For enums that have the same values in the domain and in the stored form. Both
/// matches are exhaustive, so that a new value on either side fails to compile
/// until it is added here.
macro_rules! numbered {
    ($domain:ident: $($value:ident),+) => {
        impl Numbered for $domain {
            fn number(self) -> i32 {
                match self {
                    $(Self::$value => i32::from(messages::$domain::$value),)+
                }
            }

            fn from_number(number: i32, field: &'static str) -> Result<Self, CodecError> {
                match messages::$domain::try_from(number) {
                    $(Ok(messages::$domain::$value) => Ok(Self::$value),)+
                    Ok(messages::$domain::Unspecified) | Err(_) => {
                        Err(CodecError::UnknownValue { field, found: number })
                    }
                }
            }
        }
    };
}

pub(super) use numbered;
