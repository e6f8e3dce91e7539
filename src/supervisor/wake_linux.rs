//! Waits for events, on Linux: without polling, and with a timer on either clock.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};

use super::Clock;

/// Waits for ended children and the deadline.
pub(super) struct Wake {
    children: SignalFd,
    deadline: TimerFd,
}

pub(super) struct Woken {
    /// A child has changed its state.
    pub(super) children: bool,
    pub(super) deadline: bool,
    /// For each other source: it has data to read, or is at its end.
    pub(super) others: Vec<bool>,
}

impl Wake {
    /// SIGCHLD must already be blocked, so that none is lost.
    pub(super) fn new(clock: Clock) -> io::Result<Self> {
        let mask = SigSet::from(Signal::SIGCHLD);
        let clock = match clock {
            Clock::Wall => ClockId::CLOCK_BOOTTIME,
            Clock::Awake => ClockId::CLOCK_MONOTONIC,
        };
        Ok(Self {
            children: SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            deadline: TimerFd::new(clock, TimerFlags::TFD_CLOEXEC)?,
        })
    }

    pub(super) fn set_deadline(&mut self, deadline: u64) -> io::Result<()> {
        // Zero would disarm the timer.
        let at = TimeSpec::from_duration(Duration::from_nanos(deadline.max(1)));
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        Ok(self.deadline.set(Expiration::OneShot(at), absolute)?)
    }

    /// Waits for an event, at most for `timeout`.
    pub(super) fn wait(
        &mut self,
        others: &[BorrowedFd<'_>],
        timeout: Option<Duration>,
    ) -> io::Result<Woken> {
        let own = [self.children.as_fd(), self.deadline.as_fd()];
        let all = own.iter().chain(others);
        let mut polled: Vec<_> = all
            .map(|source| PollFd::new(*source, PollFlags::POLLIN))
            .collect();
        // Rounded up: a wait that ends early would lead to busy waiting.
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
            PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened: Vec<_> = polled.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        while self.children.read_signal()?.is_some() {}
        Ok(Woken {
            children: happened[0],
            deadline: happened[1],
            others: happened[2..].to_vec(),
        })
    }
}
