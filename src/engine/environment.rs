use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use uuid::{Timestamp, Uuid, timestamp::context::ContextV7};

/// The wall clock. An argument, so that a test can own time.
pub trait Clock: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Where ids come from. Later ids sort after earlier ones.
pub trait IdSource: Send + Sync + 'static {
    /// A new id.
    fn next(&self, now: SystemTime) -> Uuid;
}

/// UUIDv7 with a counter within the millisecond (RFC 9562, 6.2, method 1).
#[derive(Default)]
pub struct UuidV7(Mutex<ContextV7>);

impl IdSource for UuidV7 {
    fn next(&self, now: SystemTime) -> Uuid {
        let context = self.0.lock();
        let since_epoch = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Uuid::new_v7(Timestamp::from_unix(
            &*context,
            since_epoch.as_secs(),
            since_epoch.subsec_nanos(),
        ))
    }
}
