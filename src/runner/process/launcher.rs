//! One command under its supervisor, from its start to the exit of its last process.

use std::{
    convert::Infallible,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::unix::pipe::Receiver,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{guards::Guards, output::Output};
use crate::{
    runner::leases::{Cause, Deadline, Stop},
    supervisor::{self, Cut, Order, Report, Spec, Task},
};

/// How long an output that another process still holds open delays the end of a process
/// that has exited.
const LINGER: Duration = Duration::from_secs(2);

/// How a command ended.
#[derive(Debug)]
pub(in crate::runner) struct Exit {
    pub(in crate::runner) status: ExitStatus,
    /// Set if the runner stopped it.
    pub(in crate::runner) cause: Option<Cause>,
    /// The limit in bytes, if a process was killed for exceeding it.
    pub(in crate::runner) out_of_memory: Option<u64>,
}

/// Why a command has no exit status.
#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum RunError {
    #[error("could not start the command: {0}")]
    NotStarted(String),
    #[error("could not start the stage's supervisor: {0}")]
    NoSupervisor(#[source] io::Error),
    #[error("the stage's supervisor was killed")]
    Lost,
}

/// Runs the commands of one stage, and ends them when its lease says so.
#[derive(Clone, Copy)]
pub(in crate::runner) struct Launcher<'a> {
    pub(in crate::runner) guards: &'a Guards,
    pub(in crate::runner) stop: &'a Stop,
    pub(in crate::runner) deadline: &'a Deadline,
    /// Time between SIGTERM and SIGKILL.
    pub(in crate::runner) grace: Duration,
}

impl Launcher<'_> {
    /// Runs `command` and passes its output, both streams in one, to `read`. Also returns
    /// the result of `read`.
    ///
    /// Ends when no process of it is left and `read` has ended. On a stop, the
    /// command gets SIGTERM, and after the grace all of it SIGKILL. Dropping the
    /// future kills all of it.
    pub(in crate::runner) async fn run<T, F>(
        &self,
        command: supervisor::Command,
        read: impl FnOnce(Output) -> F,
    ) -> Result<(Exit, T), RunError>
    where
        F: Future<Output = T>,
    {
        let (supervisor, output) =
            Supervisor::spawn(self.guards.program()).map_err(RunError::NoSupervisor)?;
        let hang_up = output.hang_up.clone();
        let drained = CancellationToken::new();
        let living = async {
            let ended = supervisor.run(self, command).await;
            // A process outside the stage may hold the output open indefinitely.
            let _ = timeout(LINGER, drained.cancelled()).await;
            hang_up.cancel();
            ended
        };
        let reading = async {
            let _on_every_way_out = drained.clone().drop_guard();
            read(output).await
        };
        let (ended, output) = tokio::join!(living, reading);
        let ended = ended?;
        let memory = self.guards.limits().memory;
        let exit = Exit {
            status: ExitStatus::from_raw(ended.status),
            cause: ended.cut.and_then(|cut| self.cause(cut)),
            out_of_memory: memory.filter(|_| ended.out_of_memory),
        };
        Ok((exit, output))
    }

    fn spec(&self, command: supervisor::Command) -> Spec {
        Spec {
            mode: self.guards.mode(),
            command,
            grace: self.grace,
            clock: self.deadline.clock(),
            deadline: self.deadline.get(),
            limits: self.guards.limits(),
        }
    }

    fn cause(&self, cut: Cut) -> Option<Cause> {
        if cut == Cut::Deadline {
            self.stop.ask(Cause::LeaseLost);
        }
        self.stop.cause()
    }

    /// Sends the supervisor its orders, for as long as it reads them.
    async fn give_orders(
        &self,
        command: supervisor::Command,
        mut control: ChildStdin,
        supervisor: &Child,
    ) -> Infallible {
        let ordering = async {
            let mut deadlines = self.deadline.changes();
            say(&mut control, &Task::Run(Box::new(self.spec(command)))).await?;
            let mut asked = false;
            loop {
                tokio::select! {
                    biased;
                    () = self.stop.at_once() => {
                        order(&mut control, supervisor, Order::Kill).await?;
                        // Kept open: its end would say the same.
                        return Ok::<_, io::Error>(control);
                    }
                    () = self.stop.asked(), if !asked => {
                        asked = true;
                        order(&mut control, supervisor, Order::Stop).await?;
                    }
                    deadline = deadlines.next() => {
                        order(&mut control, supervisor, Order::Deadline(deadline)).await?;
                    }
                }
            }
        };
        // A supervisor that does not read orders is gone, which its reports show.
        let _kept = ordering.await;
        std::future::pending().await
    }
}

/// Sends an order and makes sure that it is read: a command may have stopped its
/// supervisor, which then would not even keep to the deadline.
async fn order(control: &mut ChildStdin, supervisor: &Child, order: Order) -> io::Result<()> {
    say(control, &order).await?;
    if let Some(group) = supervisor.id() {
        let _ = killpg(Pid::from_raw(group.cast_signed()), Signal::SIGCONT);
    }
    Ok(())
}

async fn say(control: &mut ChildStdin, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    control.write_all(&line).await
}

/// A supervisor and the runner's ends of its pipes. When it is dropped the pipes
/// close, and the supervisor kills what it supervises.
struct Supervisor {
    child: Child,
    control: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Supervisor {
    fn spawn(program: &Path) -> io::Result<(Self, Output)> {
        let (reader, writer) = io::pipe()?;
        let output = Output::new(Receiver::from_owned_fd(reader.into())?);
        // The stage's data is passed through the pipe alone, where no other process
        // can read it.
        let mut child = Command::new(program)
            .arg(supervisor::ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        let (control, reports) = (child.stdin.take(), child.stdout.take());
        let supervisor = Self {
            child,
            control: control.expect("it was asked for"),
            reports: BufReader::new(reports.expect("it was asked for")),
        };
        Ok((supervisor, output))
    }

    async fn run(
        self,
        launcher: &Launcher<'_>,
        command: supervisor::Command,
    ) -> Result<supervisor::Ended, RunError> {
        let Self {
            mut child,
            control,
            mut reports,
        } = self;
        let ended = tokio::select! {
            ended = listen(&mut reports, &child) => ended,
            never = launcher.give_orders(command, control, &child) => match never {},
        };
        // After its last report it only exits. Reaped here, so that the output can end.
        let _ = child.wait().await;
        ended
    }
}

/// Waits for the supervisor's last report.
async fn listen(
    reports: &mut BufReader<ChildStdout>,
    supervisor: &Child,
) -> Result<supervisor::Ended, RunError> {
    let mut group = None;
    loop {
        let mut line = Vec::new();
        let read = reports.read_until(b'\n', &mut line).await;
        let report = read.and_then(|_| Ok(serde_json::from_slice(&line)?));
        match report {
            Ok(Report::Started { group: started }) => group = Some(started),
            Ok(Report::NotStarted(reason)) => return Err(RunError::NotStarted(reason)),
            Ok(Report::Ended(ended)) => return Ok(ended),
            // It ended without one.
            Err(_) => {
                let own = supervisor.id().map(u32::cast_signed);
                for group in [own, group].into_iter().flatten() {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                return Err(RunError::Lost);
            }
        }
    }
}
