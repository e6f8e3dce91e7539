//! The protocol between runner and supervisor: one JSON message per line.

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Clock;

/// The runner's first message.
#[derive(Deserialize, Serialize)]
pub enum Task {
    /// Find out which modes and limits work. The response is [`Findings`].
    Probe {
        /// The required mode; the best one that works if none.
        mode: Option<Mode>,
        limits: Limits,
    },
    /// Run a command. The responses are [`Report`]s.
    Run(Box<Spec>),
}

/// A command and how to supervise it.
#[derive(Deserialize, Serialize)]
pub struct Spec {
    pub mode: Mode,
    pub command: Command,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The clock of the deadlines.
    pub clock: Clock,
    /// When the command is killed, in nanoseconds of `clock`.
    pub deadline: Option<u64>,
    pub limits: Limits,
}

/// A complete command: nothing is looked up in `PATH` or inherited. Its environment may
/// contain secrets, so it has no `Debug`.
#[derive(Deserialize, Serialize)]
pub struct Command {
    /// Path of the program.
    pub program: OsString,
    pub args: Vec<OsString>,
    /// The working directory.
    pub directory: PathBuf,
    /// The complete environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// How the processes of a stage are tracked.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// A PID namespace per stage: the kernel ends all its processes with its init.
    PidNamespace,
    /// The supervisor adopts orphaned processes, and searches for descendants.
    Subreaper,
    /// A process that leaves the process group escapes.
    ProcessGroup,
}

/// Limits for all processes of a stage together; unlimited if none.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Concurrent processes and threads.
    pub processes: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
}

/// A later message of the runner.
#[derive(Debug, Deserialize, Serialize)]
pub enum Order {
    /// Replaces the deadline.
    Deadline(u64),
    /// Send SIGTERM, and SIGKILL after the grace time.
    Stop,
    /// Send SIGKILL.
    Kill,
}

/// The supervisor's report on a command.
#[derive(Debug, Deserialize, Serialize)]
pub enum Report {
    /// The command is about to run.
    Started {
        /// The process group to kill if the supervisor is lost, in the runner's namespace.
        group: i32,
    },
    /// The reason why the command was not started, for users.
    NotStarted(String),
    /// The command has ended, and none of its processes is left.
    Ended(Ended),
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Ended {
    /// The raw status of `waitpid`.
    pub status: i32,
    /// Set if the supervisor ended the command.
    pub cut: Option<Cut>,
    /// Whether the kernel killed a process because of the memory limit.
    pub out_of_memory: bool,
}

/// Why the supervisor ended a command.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Cut {
    /// The runner requested it, or is gone.
    Asked,
    /// The deadline passed.
    Deadline,
}

/// The modes and limits that work here.
#[derive(Debug, Deserialize, Serialize)]
pub struct Findings {
    /// The mode that works, or why the required mode does not.
    pub mode: Result<Mode, String>,
    /// The cgroup version that enforces the limit of processes, or why it cannot be enforced;
    /// none if there is no such limit.
    pub processes: Option<Result<CgroupVersion, String>>,
    /// The same for memory.
    pub memory: Option<Result<CgroupVersion, String>>,
}

/// The version of the kernel's cgroup interface.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum CgroupVersion {
    /// One hierarchy per controller.
    V1,
    /// One hierarchy for all controllers.
    V2,
}

impl fmt::Display for CgroupVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::V1 => "cgroup v1",
            Self::V2 => "cgroup v2",
        })
    }
}
