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
    /// How connections are encrypted; in the clear when unset.
    pub tls: Option<Tls>,
    /// What browsers and other HTTP clients may do.
    pub http: Http,
    /// What is refused so that the rest goes on.
    pub limits: Limits,
    /// Serve the reflection service, which tells callers what the API has.
    pub reflection: bool,
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
            tls: None,
            http: Http::default(),
            limits: Limits::default(),
            reflection: true,
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

/// Files of a certificate and of what it proves, as PEM; read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The service's certificate, its chain after it.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Authorities whose client certificates are accepted; none are asked for when unset.
    pub client_ca: Option<PathBuf>,
    /// Refuse connections without a client certificate.
    pub require_client_certificate: bool,
}

/// What browsers and other HTTP clients may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Origins whose pages may call, such as `https://ci.example.com`; `*` for any.
    pub allowed_origins: Vec<String>,
    /// Names under which the service may be called, without ports; `*` for any. When
    /// empty: any with credentials; without them IP addresses and `localhost` only,
    /// so that no page of a browser reaches the service by a name of its own.
    pub allowed_hosts: Vec<String>,
}

/// What is refused so that the rest goes on. Each refusal names its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request message; some methods take less.
    pub max_message: u64,
    /// Bytes of a request's headers.
    pub max_headers: u32,
    /// Open connections.
    pub max_connections: usize,
    /// Open connections of one IP address.
    pub max_connections_per_address: usize,
    /// Open calls of one connection; a client waits before it begins another one.
    pub max_streams_per_connection: u32,
    /// Open calls of one principal.
    pub max_streams_per_principal: usize,
    /// Calls of one principal in a second, on average and at once; none for no limit.
    pub max_requests_per_second: Option<u32>,
    /// Wrong credentials of one IP address in a minute, on average and at once.
    pub max_failed_logins_per_minute: u32,
    /// Stages that wait for a runner.
    pub max_queued_stages: usize,
    /// Jobs of a pipeline that have not ended.
    pub max_active_jobs: usize,
    /// Runners that are known, the lost ones of the last hour among them.
    pub max_runners: usize,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// Longest wait for a connection's first request, and for the headers of any.
    pub request_timeout: Duration,
    /// Silence after which a client has to answer.
    pub keepalive_interval: Duration,
    /// Longest wait for that answer.
    pub keepalive_timeout: Duration,
    /// How long a stream may stay open; none for as long as it likes. Its reader resumes.
    pub max_stream_age: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 4 * MIB,
            max_headers: 16 * 1024,
            max_connections: 20_000,
            max_connections_per_address: 1_000,
            max_streams_per_connection: 256,
            max_streams_per_principal: 20_000,
            max_requests_per_second: Some(10_000),
            max_failed_logins_per_minute: 30,
            max_queued_stages: 100_000,
            max_active_jobs: 1_000,
            max_runners: 10_000,
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            max_stream_age: None,
        }
    }
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
