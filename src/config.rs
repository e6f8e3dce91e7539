//! The settings of a service, as one plain struct.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;

const MIB: u64 = 1024 * 1024;

/// Settings of one service; [`Config::default`] has the documented defaults.
#[derive(Debug)]
pub struct Config {
    /// Who may call.
    pub access: Access,
    /// The runner in the service's own process; none when other processes run the stages.
    pub runner: Option<EmbeddedRunner>,
    /// Where stage logs go; a temporary directory, removed at the end, when unset.
    pub log_dir: Option<PathBuf>,
    /// Bytes that are kept of the log of a stage run, at least 2: beyond it its first
    /// and its last half.
    pub max_stage_log: u64,
    /// Bytes that all logs may take together: beyond it the logs go whose stages ended
    /// first, but never that of a running stage.
    pub max_log_total: u64,
    /// Ended jobs that are kept; beyond it the oldest go first.
    pub retain_jobs: usize,
    /// How long an ended job is kept at least, whatever their number.
    pub retain_jobs_for: Duration,
    /// Time between the polite and the sure kill of a stage.
    pub kill_grace: Duration,
    /// Lifetime of a runner's lease on a stage.
    pub lease_ttl: Duration,
    /// How long a stop waits for running stages and open streams.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            access: Access::Open,
            runner: Some(EmbeddedRunner::default()),
            log_dir: None,
            max_stage_log: 64 * MIB,
            max_log_total: 10 * 1024 * MIB,
            retain_jobs: 10_000,
            retain_jobs_for: Duration::from_secs(60 * 60),
            kill_grace: Duration::from_secs(10),
            lease_ttl: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        }
    }
}

/// Who may call the service.
#[derive(Debug)]
pub enum Access {
    /// Anybody who reaches the listener, as the principal `anonymous`.
    Open,
    /// Whoever sends this bearer token, as the principal `local`.
    Token(SecretString),
}

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

impl fmt::Display for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Auto => "auto",
            Self::PidNamespace => "pid-namespace",
            Self::Subreaper => "subreaper",
        })
    }
}
