//! One process group from its start to the last of its processes.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    process::{Child, Command},
    signal::unix::{self, SignalKind},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::stop::{Cause, Stop};

/// How long an output that somebody still holds open delays the end of a process
/// that is over.
const LINGER: Duration = Duration::from_secs(2);

/// Most that is read after that; no pipe holds more for a user without privileges.
const LEFT_IN_PIPE: usize = 1024 * 1024;

/// How a process ended.
#[derive(Debug)]
pub(super) struct Ended<T> {
    pub(super) status: ExitStatus,
    /// Set when it was made to end.
    pub(super) cause: Option<Cause>,
    /// What the reader of its output made of it.
    pub(super) output: T,
}

/// Runs `command` as the leader of a process group of its own and hands its output,
/// both streams in one, to `read`.
///
/// Ends when nothing of the group is left and `read` has ended. If `stop` asks, the
/// group gets SIGTERM, and after `grace` SIGKILL. Dropping the future kills the group.
///
/// # Errors
/// The command could not be started.
pub(super) async fn run<T, F>(
    command: Command,
    stop: &Stop,
    grace: Duration,
    read: impl FnOnce(Output) -> F,
) -> io::Result<Ended<T>>
where
    F: Future<Output = T>,
{
    let (mut process, output) = Process::spawn(command)?;
    let hang_up = output.hang_up.clone();
    let drained = CancellationToken::new();

    let living = async {
        let cause = process.end(stop, grace, &drained).await;
        // A process that left the group may hold the output open for ever.
        let _ = timeout(LINGER, drained.cancelled()).await;
        hang_up.cancel();
        (process.child.wait().await, cause)
    };
    let reading = async {
        let _on_every_way_out = drained.clone().drop_guard();
        read(output).await
    };
    let ((status, cause), output) = tokio::join!(living, reading);
    Ok(Ended {
        status: status?,
        cause,
        output,
    })
}

/// The leader of a process group, not reaped while the group may be signalled: the
/// number of a reaped leader may soon name another group, and the signal would hit
/// that one. As a zombie, the leader keeps the number taken.
struct Process {
    child: Child,
    group: Pid,
    child_signals: unix::Signal,
}

impl Process {
    fn spawn(mut command: Command) -> io::Result<(Self, Output)> {
        // Before the spawn: a child that ends at once would be missed otherwise.
        let child_signals = unix::signal(SignalKind::child())?;
        let (reader, writer) = io::pipe()?;
        let output = Output::new(Receiver::from_owned_fd(reader.into())?);
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        let child = command.spawn()?;
        let group = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .expect("a child that was not waited for has an id");
        let process = Self {
            child,
            group,
            child_signals,
        };
        // `command` goes out of scope and with it the runner's writing ends, so
        // that the output ends when the processes do.
        Ok((process, output))
    }

    /// Waits for the leader's end or brings it about; after it, none of the group
    /// lives. Answers why the leader was made to end, if it was.
    async fn end(
        &mut self,
        stop: &Stop,
        grace: Duration,
        drained: &CancellationToken,
    ) -> Option<Cause> {
        let cause = tokio::select! {
            biased;
            () = self.exited() => None,
            () = stop.asked() => {
                self.signal(Signal::TERM);
                self.leave_time(stop, grace, drained).await;
                stop.cause()
            }
        };
        // Once is enough: the kernel lets no process of a group fork past a signal
        // to the group, so a child is either born before and hit, or not born.
        self.signal(Signal::KILL);
        cause
    }

    /// Ends early when the group seems gone. A shell dies of SIGTERM at once, while
    /// what it started may still be tidying up: that nobody holds the output tells.
    async fn leave_time(&mut self, stop: &Stop, grace: Duration, drained: &CancellationToken) {
        let gone = async {
            self.exited().await;
            drained.cancelled().await;
        };
        tokio::select! {
            () = gone => {}
            () = sleep(grace) => {}
            () = stop.at_once() => {}
        }
    }

    /// Waits until the leader is a zombie; does not reap it.
    async fn exited(&mut self) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error would say that there is no such child: over, too.
        while let Ok(None) = waitid(WaitId::Pid(self.group), look) {
            // Signals are kept from the moment of registration, so one that comes
            // between the look and the wait is not lost.
            self.child_signals.recv().await;
        }
    }

    fn signal(&self, signal: Signal) {
        // Fails only when there is nobody to hit, or nobody whom this user may.
        let _ = kill_process_group(self.group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}

/// The output of a process group.
pub(super) struct Output {
    pipe: Receiver,
    hang_up: CancellationToken,
    left: usize,
}

impl Output {
    fn new(pipe: Receiver) -> Self {
        Self {
            pipe,
            hang_up: CancellationToken::new(),
            left: LEFT_IN_PIPE,
        }
    }

    /// Reads what there is, waiting for at least one byte; 0 is the end.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.hang_up.is_cancelled() {
            tokio::select! {
                biased;
                read = self.pipe.read(buffer) => return read,
                () = self.hang_up.cancelled() => {}
            }
        }
        self.read_left(buffer)
    }

    /// After the hang-up: what is still in the pipe was written before and counts,
    /// however slow the reader was, but there has to be an end to it.
    fn read_left(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(self.left);
        match self.pipe.try_read(&mut buffer[..room]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            read => read.inspect(|read| self.left -= read),
        }
    }
}
