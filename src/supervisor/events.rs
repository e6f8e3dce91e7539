//! The events that a supervisor handles, in order of priority.

use std::{
    io, mem,
    os::{fd::AsFd, unix::net::UnixStream},
    time::Instant,
};

use super::{Clock, Cut, Order, control::Control, wake::Wake};

pub(super) enum Event {
    /// A child has changed its state.
    Children,
    /// Send the command SIGTERM, and SIGKILL after the grace time.
    Stop,
    /// Send the command SIGKILL.
    Kill(Cut),
    /// No event occurred until the given time.
    Timeout,
}

/// The sources of events.
pub(super) struct Events {
    wake: Wake,
    control: Control,
    parent: Option<UnixStream>,
    /// A child has changed its state, and the event was not returned yet.
    children: bool,
}

impl Events {
    /// `parent` closes when the process that waits for this one is gone.
    pub(super) fn new(
        control: Control,
        parent: Option<UnixStream>,
        clock: Clock,
        deadline: Option<u64>,
    ) -> io::Result<Self> {
        let mut wake = Wake::new(clock)?;
        deadline.map_or(Ok(()), |deadline| wake.set_deadline(deadline))?;
        Ok(Self {
            wake,
            control,
            parent,
            children: false,
        })
    }

    /// Waits for an event, no longer than `until`.
    pub(super) fn next(&mut self, until: Option<Instant>) -> Event {
        // After a failure the command would run without supervision.
        self.try_next(until).unwrap_or(Event::Kill(Cut::Asked))
    }

    fn try_next(&mut self, until: Option<Instant>) -> io::Result<Event> {
        loop {
            if let Some(event) = self.next_order()? {
                return Ok(event);
            }
            if mem::take(&mut self.children) {
                return Ok(Event::Children);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(Event::Timeout);
            }
            let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
            let mut sources = vec![self.control.as_fd()];
            sources.extend(self.parent.as_ref().map(AsFd::as_fd));
            let woken = self.wake.wait(&sources, timeout)?;
            self.children |= woken.children;
            if woken.deadline {
                return Ok(Event::Kill(Cut::Deadline));
            }
            match woken.others[..] {
                // The parent sends no data, so this is its end of file.
                [_, true] => return Ok(Event::Kill(Cut::Asked)),
                [true, ..] => self.control.fill()?,
                _ => {}
            }
        }
    }

    /// Handles the runner's orders, up to the first one that is an event.
    fn next_order(&mut self) -> io::Result<Option<Event>> {
        while let Some(order) = self.control.next()? {
            match order {
                Order::Deadline(deadline) => self.wake.set_deadline(deadline)?,
                Order::Stop => return Ok(Some(Event::Stop)),
                Order::Kill => return Ok(Some(Event::Kill(Cut::Asked))),
            }
        }
        Ok(None)
    }
}
