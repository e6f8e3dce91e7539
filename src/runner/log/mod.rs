//! Ships a stage's output to the service, as the bytes that were written.

mod backlog;
#[cfg(test)]
mod tests;

use std::{io, pin::pin, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::{
    LeaseError, LogAppend,
    leases::{HeldLease, delay},
    mask::Masker,
};
use backlog::Backlog;

/// Most bytes per read.
const READ: usize = 64 * 1024;

/// How long a command waits while its output is not accepted, before it may continue and
/// the oldest of it is dropped.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the rest is retried at most, once the output of a stopped command has ended. A
/// stage that was stopped at its timeout has 5 s from its kill to report its end.
const PATIENCE_WHEN_STOPPED: Duration = Duration::from_secs(3);

/// Longest delay before an append is retried.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Where a log comes from.
pub(super) trait Source: Send {
    /// Reads the available bytes, waiting for at least one; 0 is the end. Dropping the
    /// future loses nothing.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shipped {
    /// Size of the whole log, including bytes that were dropped or not accepted.
    pub(super) size: u64,
    /// The service did not accept the end of the log.
    pub(super) is_incomplete: bool,
}

/// Ships until the output's end has arrived, or cannot arrive.
///
/// Sends immediately when idle. While an append is in flight, output is buffered up to the
/// size of the next append, and then in the pipe, so that the writers wait. They do not
/// wait for a service that cannot be reached: see [`PATIENCE`]. Nor does the stage: once its
/// output has ended, the rest is given up after half of the lease's life, or soon after the
/// stage is stopped, as it is at its timeout. Memory is bounded by an append and a backlog.
pub(super) async fn ship<S: Source>(lease: &HeldLease, output: S, masker: Masker) -> Shipped {
    let mut log = Log {
        output: Some(output),
        ended: None,
        masker,
        buffer: vec![0; READ],
        backlog: Backlog::default(),
        max_append: lease.max_log_chunk,
    };
    let arrived = log.ship(lease).await;
    Shipped {
        size: log.backlog.end(),
        is_incomplete: !arrived,
    }
}

struct Log<S> {
    /// None after its end.
    output: Option<S>,
    ended: Option<Instant>,
    masker: Masker,
    buffer: Vec<u8>,
    backlog: Backlog,
    max_append: usize,
}

impl<S: Source> Log<S> {
    /// Whether all has arrived.
    async fn ship(&mut self, lease: &HeldLease) -> bool {
        loop {
            if self.backlog.len() > 0 {
                let append = self.backlog.take(self.max_append);
                if !self.send(lease, append).await {
                    return false;
                }
            } else if self.output.is_some() {
                self.gather().await;
            } else {
                return true;
            }
        }
    }

    /// Sends one append, and reads output meanwhile. False if it will not arrive.
    async fn send(&mut self, lease: &HeldLease, append: LogAppend) -> bool {
        let began = Instant::now();
        let mut delivery = pin!(deliver(lease, append));
        let mut is_late = false;
        loop {
            let has_room = is_late || self.backlog.len() < self.max_append;
            let ended = self.ended;
            tokio::select! {
                biased;
                arrived = &mut delivery => return arrived,
                () = give_up(lease, began, ended.unwrap_or(began)), if ended.is_some() => {
                    return false;
                }
                () = wait_for(lease, began), if !is_late => is_late = true,
                () = self.gather(), if has_room && self.output.is_some() => {}
            }
        }
    }

    /// Reads output. The one place at which bytes pass from the pipe to
    /// the log: offsets count what is stored, so secrets are masked before anything is
    /// counted. May be dropped at any time.
    async fn gather(&mut self) {
        let Some(output) = &mut self.output else {
            return;
        };
        // Reading a pipe of our own does not fail; if it did, the log would end here.
        let read = output.read(&mut self.buffer).await.unwrap_or(0);
        if read > 0 {
            let masked = self.masker.push(&self.buffer[..read]);
            return self.backlog.push(&masked);
        }
        self.backlog.push(&self.masker.finish());
        self.output = None;
        self.ended = Some(Instant::now());
    }
}

/// Waits until a command whose output is not accepted has waited long enough. One that
/// has to stop does not wait.
async fn wait_for(lease: &HeldLease, began: Instant) {
    tokio::select! {
        () = sleep_until(began + PATIENCE) => {}
        () = lease.stop.asked() => {}
    }
}

/// Waits until an append has to be given up; `began` is its start, `ended` the end of the
/// output.
async fn give_up(lease: &HeldLease, began: Instant, ended: Instant) {
    let patience = lease.last_patience();
    let stopped = async {
        lease.stop.asked().await;
        sleep_until(ended + patience.min(PATIENCE_WHEN_STOPPED)).await;
    };
    tokio::select! {
        () = sleep_until(ended.max(began) + patience) => {}
        () = stopped => {}
    }
}

/// Retries until the append has arrived. False if the lease is lost.
async fn deliver(lease: &HeldLease, mut append: LogAppend) -> bool {
    let mut failures = 0;
    loop {
        let reason = match lease.append(append.clone()).await {
            Ok(()) => return true,
            Err(LeaseError::Lost) => return false,
            Err(reason) => reason,
        };
        // Bytes that the service has lost are not here any more, either.
        if let LeaseError::Hole { committed } = reason {
            append.dropped = append.offset.saturating_sub(committed);
        }
        failures += 1;
        if failures == 1 {
            warn!(%reason, "a log cannot be sent for now");
        }
        sleep(delay(failures).min(LONGEST_DELAY)).await;
    }
}
