//! Parses and formats durations.

use std::time::Duration;

const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Parses `500` and `1.5` as seconds, and `500s`, `8m` or `1h 30m`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    let duration = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => humantime::parse_duration(text).ok(),
    };
    duration.ok_or_else(|| {
        format!("`{text}` is not a length of time; write seconds, as 500, or 500s, 8m, 1h 30m")
    })
}

/// Formats a duration in the largest unit of which it is a whole number. [`parse`] reads it.
pub(crate) fn write(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let fits = |(_, unit): &&(&str, u128)| nanos != 0 && nanos.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().find(fits).unwrap_or(&("s", 1));
    format!("{}{name}", nanos / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_units() {
        let seconds = |text| parse(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("500"), Ok(500.0));
        assert_eq!(seconds("1.5"), Ok(1.5));
        assert_eq!(seconds("1.5s"), Ok(1.5));
        assert_eq!(seconds("8m"), Ok(480.0));
        assert_eq!(seconds("1h 30m"), Ok(5400.0));
    }

    #[test]
    fn refuses_invalid_durations() {
        for text in ["", "-1", "-1s", "soon", "5 parsecs", "inf", "NaN", "1e30"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn formatted_durations_are_parsed_again() {
        for (millis, text) in [
            (0, "0s"),
            (1_500, "1500ms"),
            (10_000, "10s"),
            (3_600_000, "1h"),
            (5_405_000, "5405s"),
            (172_800_000, "2d"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(write(duration), text);
            assert_eq!(parse(text), Ok(duration));
        }
    }
}
