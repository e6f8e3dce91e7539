//! Waits for events on systems without signalfd and timerfd.

use std::{
    io::{self, PipeReader, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{SigSet, Signal},
};

use super::Clock;

/// Waits for ended children and the deadline.
pub(super) struct Wake {
    children: PipeReader,
    clock: Clock,
    deadline: Option<u64>,
}

pub(super) struct Woken {
    /// A child has changed its state.
    pub(super) children: bool,
    pub(super) deadline: bool,
    /// For each other source: it has data to read, or is at its end.
    pub(super) others: Vec<bool>,
}

impl Wake {
    /// SIGCHLD must already be blocked, so that none is lost. Starts a thread, so the process
    /// must not fork after this.
    pub(super) fn new(clock: Clock) -> io::Result<Self> {
        let (children, mut signalled) = io::pipe()?;
        let mask = SigSet::from(Signal::SIGCHLD);
        thread::spawn(move || while mask.wait().is_ok() && signalled.write_all(&[0]).is_ok() {});
        Ok(Self {
            children,
            clock,
            deadline: None,
        })
    }

    pub(super) fn set_deadline(&mut self, deadline: u64) -> io::Result<()> {
        self.deadline = Some(deadline);
        Ok(())
    }

    /// Waits for an event, at most for `timeout`.
    pub(super) fn wait(
        &mut self,
        others: &[BorrowedFd<'_>],
        timeout: Option<Duration>,
    ) -> io::Result<Woken> {
        let left = self
            .deadline
            .map(|deadline| Duration::from_nanos(deadline.saturating_sub(self.clock.now())));
        let mut polled: Vec<_> = [self.children.as_fd()]
            .iter()
            .chain(others)
            .map(|source| PollFd::new(*source, PollFlags::POLLIN))
            .collect();
        let shortest = [timeout, left].into_iter().flatten().min();
        // Rounded up: a wait that ends early would lead to busy waiting.
        let timeout = shortest.map_or(PollTimeout::NONE, |timeout| {
            let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
            PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened: Vec<_> = polled.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        if happened[0] {
            let _ = self.children.read(&mut [0; 64])?;
        }
        Ok(Woken {
            children: happened[0],
            deadline: self
                .deadline
                .is_some_and(|deadline| deadline <= self.clock.now()),
            others: happened[1..].to_vec(),
        })
    }
}
