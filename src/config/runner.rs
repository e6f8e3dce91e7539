//! The configuration of the embedded runner, and of how a runner executes stages.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Settings of the embedded runner.
#[derive(Clone, Debug)]
pub struct EmbeddedRunner {
    /// Concurrent stages, at least 1.
    pub workers: usize,
    /// Where commands run.
    pub execution: Execution,
    /// How commands are supervised and limited.
    pub supervision: Supervision,
}

impl Default for EmbeddedRunner {
    fn default() -> Self {
        Self {
            workers: 2,
            execution: Execution::Isolated {
                workspace_dir: None,
                keep_workspaces: false,
            },
            supervision: Supervision::default(),
        }
    }
}

/// Where a stage's command runs, and with which environment.
#[derive(Clone, Debug)]
pub enum Execution {
    /// In a new directory per job, with a checkout of the repository and a minimal
    /// environment.
    Isolated {
        /// Parent of the workspaces; a temporary directory if unset.
        workspace_dir: Option<PathBuf>,
        /// Do not remove workspaces when their job is over, for debugging.
        keep_workspaces: bool,
    },
    /// In a directory of the user and with the user's environment, as if the user had run
    /// the command in a shell. No checkout.
    InPlace {
        /// The working directory of commands.
        directory: PathBuf,
    },
}

impl Execution {
    /// Parent of the workspaces, if it is not a temporary directory.
    pub fn workspace_dir(&self) -> Option<&Path> {
        match self {
            Self::Isolated { workspace_dir, .. } => workspace_dir.as_deref(),
            Self::InPlace { .. } => None,
        }
    }

    /// Whether workspaces are kept when their job is over.
    pub fn keeps_workspaces(&self) -> bool {
        match self {
            Self::Isolated {
                keep_workspaces, ..
            } => *keep_workspaces,
            Self::InPlace { .. } => false,
        }
    }
}

/// How the processes of a stage are supervised and limited.
#[derive(Clone, Debug)]
pub struct Supervision {
    /// Path of this crate's binary, which is the supervisor; the running program if unset.
    pub program: Option<PathBuf>,
    /// How processes are tracked.
    pub guard: Guard,
    /// Concurrent processes and threads of a stage, where control groups can limit them.
    pub max_processes: u64,
    /// Bytes of memory of a stage, where control groups can limit it.
    pub max_memory: Option<u64>,
}

impl Default for Supervision {
    fn default() -> Self {
        Self {
            program: None,
            guard: Guard::Auto,
            max_processes: 4_096,
            max_memory: None,
        }
    }
}

/// How the processes of a stage are tracked, so that none outlives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The best one that works.
    Auto,
    /// A PID namespace, which needs `CAP_SYS_ADMIN`.
    PidNamespace,
    /// A child subreaper.
    Subreaper,
}

impl Guard {
    /// All guards.
    pub const ALL: [Self; 3] = [Self::Auto, Self::PidNamespace, Self::Subreaper];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::PidNamespace => "pid-namespace",
            Self::Subreaper => "subreaper",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
