//! The settings of a service, as one plain struct, and how it is filled.

pub(crate) mod duration;
mod http;
mod limits;
mod runner;
pub(crate) mod settings;
pub(crate) mod size;
mod tls;

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

pub use http::Http;
pub use limits::Limits;
pub use runner::{EmbeddedRunner, Execution, Guard, Supervision};
pub use tls::Tls;

const MIB: u64 = 1024 * 1024;

/// Settings of one service; [`Config::default`] has the documented defaults.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub enum Access {
    /// Anybody who reaches the listener, as the principal `anonymous`.
    Open,
    /// Whoever sends this bearer token, as the principal `local`.
    Token(SecretString),
    /// Whoever is in this credentials file; read again when it changes.
    File(PathBuf),
}
