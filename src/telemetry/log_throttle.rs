use std::time::{Duration, Instant};

/// Time between two log lines of the same kind.
const PAUSE: Duration = Duration::from_secs(10);

/// Rate-limits a log line that untrusted clients can cause, so that they cannot fill the log.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogThrottle {
    /// If the line may be logged now, the number of lines suppressed since the last one.
    pub(crate) fn now(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.suppressed))
    }
}
