//! The clock of lease deadlines.

use nix::time::{ClockId, clock_gettime};

/// Counts while the machine is suspended, so that a deadline passes then, too.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
/// Counts while the machine sleeps on macOS.
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;

/// Nanoseconds since some point before this machine's start; the same in all processes.
pub fn now() -> u64 {
    let now = clock_gettime(CLOCK).expect("the kernel has this clock");
    let (seconds, nanoseconds) = (now.tv_sec().cast_unsigned(), now.tv_nsec().cast_unsigned());
    seconds * 1_000_000_000 + nanoseconds
}
