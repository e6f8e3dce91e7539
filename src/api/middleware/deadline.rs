//! Deadlines of calls: the client's `grpc-timeout`, and the service's maximum stream age.

use std::{collections::HashMap, time::Duration};

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation};

use super::super::{reason::Reason, status::refuse_with};

const TIMEOUT: &str = "grpc-timeout";
/// Longer timeouts are cut to this, so that adding them to the clock cannot overflow.
pub(super) const MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The deadline of a call that began at `began`; none if the client set no timeout.
pub(super) fn of(headers: &HeaderMap, began: Instant) -> Result<Option<Instant>, Status> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let timeout = timeout(value).ok_or_else(malformed)?;
    Ok(Some(began + timeout.min(MAX)))
}

/// Why a call is ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Deadline,
    Age,
}

impl End {
    pub(super) fn status(self) -> Status {
        let (reason, message) = match self {
            Self::Deadline => (
                Reason::DeadlineExceeded,
                "the call took longer than its grpc-timeout",
            ),
            Self::Age => (
                Reason::StreamAged,
                "the stream has reached its maximum age; resume it on a new one; the \
                 setting is max_stream_age",
            ),
        };
        let (details, facts) = (ErrorDetails::new(), HashMap::new());
        refuse_with(reason, message.to_owned(), details, facts)
    }
}

/// Parses at most eight digits and a unit, as the gRPC specification says.
pub(in crate::api) fn timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// A malformed timeout is refused: if it were ignored, the call would have no deadline.
fn malformed() -> Status {
    let description = "must be at most eight digits and one of H, M, S, m, u and n";
    let violation = FieldViolation::new(TIMEOUT, description);
    refuse_with(
        Reason::TimeoutMalformed,
        format!("{TIMEOUT} {description}"),
        ErrorDetails::with_bad_request(vec![violation]),
        HashMap::new(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_specified() {
        let read = |text: &'static str| timeout(&HeaderValue::from_static(text));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("2M"), Some(Duration::from_secs(120)));
        assert_eq!(read("3S"), Some(Duration::from_secs(3)));
        assert_eq!(read("4m"), Some(Duration::from_millis(4)));
        assert_eq!(read("5u"), Some(Duration::from_micros(5)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert!(read("99999999H").is_some_and(|long| long > MAX));
        for wrong in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "123456789S",
            "1 S",
            "1.5S",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
