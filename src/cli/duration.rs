//! Lengths of time as people write them.

use std::time::Duration;

/// Reads `500` and `1.5` as seconds, and `500s`, `8m` or `1h 30m`.
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

/// Reads the lifetime of a lease: 1 s to 10 min.
pub(crate) fn lease_ttl(text: &str) -> Result<Duration, String> {
    let range = Duration::from_secs(1)..=Duration::from_secs(600);
    let ttl = parse(text)?;
    match range.contains(&ttl) {
        true => Ok(ttl),
        false => Err(format!("`{text}` is not within 1s to 10m")),
    }
}

/// Writes tenths of a second below a minute, whole seconds above.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1}s", duration.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
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
    fn refuses_what_is_no_length_of_time() {
        for text in ["", "-1", "-1s", "soon", "5 parsecs", "inf", "NaN", "1e30"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shows_what_matters() {
        let shown = |millis| show(Duration::from_millis(millis));
        assert_eq!(shown(1_240), "1.2s");
        assert_eq!(shown(65_000), "1m 05s");
        assert_eq!(shown(3_725_000), "1h 02m");
    }
}
