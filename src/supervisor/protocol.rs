//! What runner and supervisor say to each other: JSON, a line a message.

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Clock;

/// The runner's first line.
#[derive(Deserialize, Serialize)]
pub enum Task {
    /// Find out what can be guarded; answered with [`Findings`].
    Probe {
        /// The mode that has to work; the best one when none.
        mode: Option<Mode>,
        /// The limits that are wanted.
        limits: Limits,
    },
    /// Run a command; answered with [`Report`]s.
    Run(Box<Spec>),
}

/// What to run and how.
#[derive(Deserialize, Serialize)]
pub struct Spec {
    /// How its processes are held together.
    pub mode: Mode,
    /// The command.
    pub command: Command,
    /// Time between the polite and the sure kill.
    pub grace: Duration,
    /// What its deadlines are counted on.
    pub clock: Clock,
    /// When it is killed come what may.
    pub deadline: Option<u64>,
    /// What all its processes together may use.
    pub limits: Limits,
}

/// A command, complete: nothing of it is looked up or inherited. Its environment may
/// hold secrets, so there is no `Debug`.
#[derive(Deserialize, Serialize)]
pub struct Command {
    /// Path of the program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it starts.
    pub directory: PathBuf,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// How the processes of a stage are held together.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// A PID namespace each: the kernel ends all of it with its init.
    PidNamespace,
    /// The supervisor adopts what loses its parent, and looks for descendants.
    Subreaper,
    /// What leaves the process group gets away.
    ProcessGroup,
}

/// What all processes of a stage together may use; what is none is not limited.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Processes and threads at once.
    pub processes: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
}

/// A later line of the runner's.
#[derive(Debug, Deserialize, Serialize)]
pub enum Order {
    /// The deadline is another.
    Deadline(u64),
    /// End the command politely, then surely.
    Stop,
    /// End it surely.
    Kill,
}

/// The supervisor's word on a command.
#[derive(Debug, Deserialize, Serialize)]
pub enum Report {
    /// It is about to run; the process group to kill if the supervisor is lost.
    Started {
        /// As the runner sees it.
        group: i32,
    },
    /// It was not started; why, for people.
    NotStarted(String),
    /// It is over, and no process of it is left.
    Ended(Ended),
}

/// How a command ended.
#[derive(Debug, Deserialize, Serialize)]
pub struct Ended {
    /// As `waitpid` has it.
    pub status: i32,
    /// Set when it was made to end.
    pub cut: Option<Cut>,
    /// Whether the kernel killed a process for the memory limit.
    pub out_of_memory: bool,
}

/// Why the supervisor ended a command.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Cut {
    /// The runner said so, or is gone.
    Asked,
    /// The deadline passed.
    Deadline,
}

/// What can be guarded here.
#[derive(Debug, Deserialize, Serialize)]
pub struct Findings {
    /// The mode that works, or why the one that has to does not.
    pub mode: Result<Mode, String>,
    /// What the limit of processes rests on, or why there is none; none if not wanted.
    pub processes: Option<Result<CgroupVersion, String>>,
    /// The same for memory.
    pub memory: Option<Result<CgroupVersion, String>>,
}

/// Which of the kernel's two interfaces a limit rests on.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum CgroupVersion {
    /// A hierarchy a controller.
    V1,
    /// One hierarchy.
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
