//! The clocks of lease deadlines.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Which clock a lease is counted on.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Clock {
    /// Goes on while the machine is suspended, as the clock of a service elsewhere does:
    /// a runner that wakes up late finds its lease over.
    #[default]
    Wall,
    /// Stands still while the machine is suspended, as the service does when it is on
    /// the same machine: both wake up where they were.
    Awake,
}

impl Clock {
    /// Nanoseconds since some point before this machine's start; the same in all
    /// processes.
    pub fn now(self) -> u64 {
        let now = clock_gettime(self.id()).expect("the kernel has this clock");
        let (seconds, nanoseconds) = (now.tv_sec().cast_unsigned(), now.tv_nsec().cast_unsigned());
        seconds * 1_000_000_000 + nanoseconds
    }

    #[cfg(target_os = "linux")]
    fn id(self) -> ClockId {
        match self {
            Self::Wall => ClockId::CLOCK_BOOTTIME,
            Self::Awake => ClockId::CLOCK_MONOTONIC,
        }
    }

    /// There is one clock for both, which goes on while macOS sleeps.
    #[cfg(not(target_os = "linux"))]
    fn id(self) -> ClockId {
        ClockId::CLOCK_MONOTONIC
    }
}
