//! The clocks of lease deadlines.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The clock of a lease's deadline.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Clock {
    /// Includes the time that the machine is suspended, as the clock of a service on another
    /// machine does: after a long suspend, a runner's lease has expired.
    #[default]
    Wall,
    /// Excludes the time that the machine is suspended. For a service on the same machine,
    /// which is suspended, too: the remaining time of a lease is the same after the suspend.
    Awake,
}

impl Clock {
    /// Nanoseconds since an unspecified time before the machine's start; the same in all
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

    /// macOS has one clock for both, which includes the time that it is suspended.
    #[cfg(not(target_os = "linux"))]
    fn id(self) -> ClockId {
        ClockId::CLOCK_MONOTONIC
    }
}
