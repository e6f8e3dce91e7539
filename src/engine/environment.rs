use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::{Timestamp, Uuid, timestamp::context::ContextV7};

/// The wall clock. A parameter, so that a test can control time.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> SystemTime;
}

#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The source of ids. Later ids sort after earlier ones.
pub trait IdSource: Send + Sync + 'static {
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

/// Time and ids, shared by all parts of the engine.
#[derive(Clone)]
pub(super) struct Environment {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    /// Both clocks, read at the same moment.
    anchor: (SystemTime, Instant),
}

impl Environment {
    pub(super) fn new(clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        let anchor = (clock.now(), Instant::now());
        Self { clock, ids, anchor }
    }

    /// The wall clock, for times that people read.
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// A clock that neither jumps nor goes back, for the expiry of leases and claims.
    /// It is the wall clock of the engine's start plus the monotonic time since.
    pub(super) fn steady_now(&self) -> SystemTime {
        let (time, instant) = self.anchor;
        time + instant.elapsed()
    }

    /// The instant at which the steady clock reaches a time; now if the time has
    /// passed.
    pub(super) fn instant_of(&self, steady: SystemTime) -> Instant {
        let wait = steady.duration_since(self.steady_now());
        Instant::now() + wait.unwrap_or_default()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(super) fn new_id(&self) -> Uuid {
        self.ids.next(self.now())
    }
}
