//! How stages are run in the service's own process, or in a runner's.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Settings of the embedded runner.
#[derive(Clone, Debug)]
pub struct EmbeddedRunner {
    /// Stages at once, at least 1.
    pub workers: usize,
    /// How commands are run.
    pub execution: Execution,
    /// What holds them within bounds.
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

/// Where a stage's command runs and what it sees.
#[derive(Clone, Debug)]
pub enum Execution {
    /// In a fresh directory a job, with a checkout of the repository and a
    /// short list of environment variables.
    Isolated {
        /// Parent of the workspaces; a temporary directory when unset.
        workspace_dir: Option<PathBuf>,
        /// Leave workspaces behind when their job is over, for debugging.
        keep_workspaces: bool,
    },
    /// In a directory of the caller's and with the caller's environment, as if
    /// the caller had typed the command. No checkout.
    InPlace {
        /// Where commands start.
        directory: PathBuf,
    },
}

impl Execution {
    /// Parent of the workspaces, if it is not a temporary one.
    pub fn workspace_dir(&self) -> Option<&Path> {
        match self {
            Self::Isolated { workspace_dir, .. } => workspace_dir.as_deref(),
            Self::InPlace { .. } => None,
        }
    }

    /// Whether workspaces are left behind when their job is over.
    pub fn keeps_workspaces(&self) -> bool {
        match self {
            Self::Isolated {
                keep_workspaces, ..
            } => *keep_workspaces,
            Self::InPlace { .. } => false,
        }
    }
}

/// What holds the processes of a stage within bounds.
#[derive(Clone, Debug)]
pub struct Supervision {
    /// Path of this crate's binary, which supervises; the running program when unset.
    pub program: Option<PathBuf>,
    /// How processes are held together.
    pub guard: Guard,
    /// Processes and threads of a stage at once, where control groups allow a limit.
    pub max_processes: u64,
    /// Bytes of memory of a stage, where control groups allow a limit.
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

/// How the processes of a stage are held together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The best that works.
    Auto,
    /// A PID namespace, which needs `CAP_SYS_ADMIN`.
    PidNamespace,
    /// A child subreaper.
    Subreaper,
}

impl Guard {
    /// Every guard.
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
