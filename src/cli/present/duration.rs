//! Durations for people.

use std::time::Duration;

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
    fn shows_what_matters() {
        let shown = |millis| show(Duration::from_millis(millis));
        assert_eq!(shown(1_240), "1.2s");
        assert_eq!(shown(65_000), "1m 05s");
        assert_eq!(shown(3_725_000), "1h 02m");
    }
}
