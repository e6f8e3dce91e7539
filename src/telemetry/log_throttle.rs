use std::time::{Duration, Instant};

/// Between two warnings of the same thing.
const PAUSE: Duration = Duration::from_secs(10);

/// Holds back what would fill the log when strangers can bring it about at will.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    last: Option<Instant>,
    held_back: u64,
}

impl LogThrottle {
    /// Whether to say it now, and if so, how often it was held back before.
    pub(crate) fn now(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.held_back))
    }
}
