//! The configuration of a service, and how it is loaded.

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

/// The configuration of one service; [`Config::default`] has the documented defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// How callers authenticate.
    pub access: Access,
    /// The TLS files; connections are in plaintext if unset.
    pub tls: Option<Tls>,
    /// The keys that encrypt secrets at rest; none if no secret can be stored on a disk.
    pub encryption_keys: Option<EncryptionKeys>,
    /// Allowed origins and hosts.
    pub http: Http,
    /// Limits that protect the service from overload.
    pub limits: Limits,
    /// Serve the gRPC reflection service, which describes the API to clients.
    pub reflection: bool,
    /// The runner in the service's own process; none if only other processes run stages.
    pub runner: Option<EmbeddedRunner>,
    /// Directory in which the service keeps everything; if unset, the store is in memory and
    /// ends with the process.
    pub data_dir: Option<PathBuf>,
    /// Directory of stage logs; if unset, `logs` in the data directory, and without one a
    /// temporary directory, removed at the end.
    pub log_dir: Option<PathBuf>,
    /// Most bytes stored of the log of a stage run, at least 2. Of a longer log, the first
    /// and the last part are stored, each of half this size.
    pub max_stage_log: u64,
    /// Most bytes of all logs together. Beyond it, the logs of the stages that ended first
    /// are removed, but never that of a running stage.
    pub max_log_total: u64,
    /// Most ended jobs that are stored; beyond it, the oldest are removed first.
    pub retain_jobs: usize,
    /// Shortest time that an ended job is stored, whatever the number of jobs.
    pub retain_jobs_for: Duration,
    /// Time between SIGTERM and SIGKILL for a stage.
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
            encryption_keys: None,
            http: Http::default(),
            limits: Limits::default(),
            reflection: true,
            runner: Some(EmbeddedRunner::default()),
            data_dir: None,
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

/// Where the keys are that encrypt secrets at rest.
#[derive(Clone, Debug)]
pub enum EncryptionKeys {
    /// In this file, which only its owner and its group may read.
    File(PathBuf),
    /// In this text.
    Text(SecretString),
}

/// How callers of the service authenticate.
#[derive(Clone, Debug)]
pub enum Access {
    /// No authentication: every client is the principal `anonymous`.
    Open,
    /// With this bearer token, as the principal `local`.
    Token(SecretString),
    /// With the credentials in this file, which is reloaded when it changes.
    File(PathBuf),
}
