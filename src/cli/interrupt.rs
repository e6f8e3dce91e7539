//! SIGINT, SIGTERM and SIGHUP.

use std::{
    fs::{self, File},
    sync::Arc,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use crate::cli::exit::Failure;

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Service(format!("cannot take signals: {error}")))
}

/// Listens to SIGINT, SIGTERM and SIGHUP instead of their default action.
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hung_up: Arc<Notify>,
}

impl Interrupts {
    /// For an interactive command: SIGHUP stops it, unless its parent ignores the signal, as
    /// `nohup` does.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let is_ignored = is_hangup_ignored();
        Self::with(|hung_up| {
            if is_ignored {
                return Ok(());
            }
            let mut hangup = listen(SignalKind::hangup())?;
            tokio::spawn(async move {
                hangup.recv().await;
                // Once: a shell sends another one, which must not count as a second interrupt.
                hung_up.notify_one();
            });
            Ok(())
        })
    }

    /// For a service: SIGHUP stops it if its terminal was closed, and otherwise requests a
    /// reload.
    pub(crate) fn of_service(reload: Arc<Notify>) -> Result<Self, Failure> {
        let had_terminal = has_terminal() && !is_hangup_ignored();
        Self::with(|hung_up| {
            let mut hangup = listen(SignalKind::hangup())?;
            tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    if had_terminal && !has_terminal() {
                        hung_up.notify_one();
                    } else {
                        reload.notify_one();
                    }
                }
            });
            Ok(())
        })
    }

    fn with(hangups: impl FnOnce(Arc<Notify>) -> Result<(), Failure>) -> Result<Self, Failure> {
        let hung_up = Arc::new(Notify::new());
        hangups(Arc::clone(&hung_up))?;
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hung_up,
        })
    }

    /// Waits for the next one. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = self.hung_up.notified() => {}
        }
    }
}

/// Whether this process has a controlling terminal that is still there.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether SIGHUP was ignored already when this process was started. Known only on Linux.
fn is_hangup_ignored() -> bool {
    const SIGHUP: u64 = 1;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & SIGHUP != 0)
}
