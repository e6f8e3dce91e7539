//! Composition root: builds the parts from the settings and connects them.

mod callers;
mod embedded;
mod metrics;
mod services;
mod storage;

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot, watch},
    time,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic_health::ServingStatus;

use crate::{
    auth::CredentialsError,
    config::{Access, Config},
    engine::{self, Clock, Engine, IdSource, MemoryLimits, Settings, SystemClock, UuidV7},
    http::{self as front, Certificates, TlsError},
    runner::RunnerError,
    store::{BadKeys, KeyFileError, OpenError},
};

use storage::Storage;

pub use embedded::embedded_labels;

/// How long connections get to close after their streams were asked to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a service could not start, or failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A directory cannot be used.
    #[error("cannot use the {what} {}: {source}", path.display())]
    Directory {
        /// Purpose of the directory.
        what: &'static str,
        /// Path of the directory.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDirectory(#[from] OpenError),
    /// The file of the encryption keys cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The encryption keys in the environment are not valid.
    #[error("PIPEWRIGHT_ENCRYPTION_KEY: {0}")]
    Keys(#[from] BadKeys),
    /// A write to the data directory has failed.
    #[error(
        "a write to the data directory has failed; what was acknowledged is kept: start the service again when the disk is in order"
    )]
    WriteFailed,
    /// The content of the store cannot be restored.
    #[error("the store cannot be used: {0}")]
    Store(#[source] engine::Error),
    /// The credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The embedded runner does not have what it needs.
    #[error(transparent)]
    Unprepared(RunnerError),
    /// The embedded runner ended.
    #[error("the embedded runner failed: {0}")]
    Runner(#[from] RunnerError),
    /// The reflection service could not read the contract.
    #[error("server reflection could not be set up: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A task of the service panicked.
    #[error("a task of the service failed: {0}")]
    Task(#[source] io::Error),
    /// A file of the certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Sources of time and ids.
pub struct Environment {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The source of ids.
    pub ids: Arc<dyn IdSource>,
    /// Notified to reload credentials and certificates immediately.
    pub reload: Arc<Notify>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(UuidV7::default()),
            reload: Arc::default(),
        }
    }
}

/// Reads the credentials and the certificate that the settings name, and starts nothing.
///
/// # Errors
/// If one of them cannot be used.
pub fn check(config: &Config) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    callers::authenticator(config, &clock)?;
    storage::keyring(config)?;
    config.tls.clone().map(Certificates::load).transpose()?;
    Ok(())
}

/// Serves on a listener until `shutdown` ends, and then stops cleanly: refuses new
/// jobs, cancels active ones and waits for their end, ends streams, closes.
///
/// # Errors
/// If the service cannot start or fails.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    run_in(Environment::default(), config, listener, shutdown).await
}

/// As [`run`], with the given sources of time and ids.
///
/// # Errors
/// If the service cannot start or fails.
pub async fn run_in(
    environment: Environment,
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let authenticator = callers::authenticator(&config, &environment.clock)?;
    embedded::check_workspaces(config.runner.as_ref())?;
    let certificates = config
        .tls
        .clone()
        .map(Certificates::load)
        .transpose()?
        .map(Arc::new);
    let storage = Storage::open(&config, &*environment.clock).await?;
    let memory = MemoryLimits {
        total: config.limits.max_memory,
        project: config.limits.max_project_memory,
        caller: config.limits.max_caller_memory,
    };
    let engine = Engine::start(
        Arc::clone(&storage.store),
        Arc::clone(&storage.logs) as _,
        environment.clock,
        environment.ids,
        Settings {
            retain_jobs: config.retain_jobs,
            retain_jobs_for: config.retain_jobs_for,
            kill_grace: config.kill_grace,
            lease_ttl: config.lease_ttl,
            max_active_jobs: config.limits.max_active_jobs,
            max_queued_stages: config.limits.max_queued_stages,
            max_runners: config.limits.max_runners,
            memory,
        },
    )
    .await
    .map_err(ServeError::Store)?;
    let reserved_files = embedded::open_files(config.runner.as_ref());
    let runner = embedded::prepare(&engine, config.runner).await?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, callers = callers::callers(&config.access), tls = certificates.is_some(),
            "listening");
        callers::warn_of_clear_text(&config.access, address, certificates.is_some());
    }
    let stop_runner = CancellationToken::new();
    let mut runner = tokio::spawn(embedded::run(runner, stop_runner.clone()));
    let (ready, is_ready) = watch::channel(true);
    let settings = front::Settings {
        is_open: matches!(config.access, Access::Open),
        limits: config.limits.clone(),
        reserved_files,
        http: config.http,
        certificates,
        refuse: services::refuse,
        ready: is_ready,
        metrics: metrics::page(&engine, &authenticator, memory),
    };
    tokio::spawn(authenticator.follow());
    let reloads = callers::reload(environment.reload, &authenticator, &settings.certificates);
    let _reloads = AbortOnDropHandle::new(tokio::spawn(reloads));
    let dismissals = callers::dismiss_runners(&authenticator, &engine);
    let _dismissals = AbortOnDropHandle::new(tokio::spawn(dismissals));
    let (health, calls) =
        services::services(&engine, authenticator, &config.limits, config.reflection).await?;
    let (close, closed) = oneshot::channel::<()>();
    let mut serving = tokio::spawn(front::serve(listener, settings, calls, async {
        // A dropped sender also means shutdown.
        let _ = closed.await;
    }));

    tokio::select! {
        // Neither ends by itself unless it fails.
        ended = &mut runner => return Ok(ended.map_err(io::Error::other).map_err(ServeError::Task)??),
        ended = &mut serving => return ended.map_err(io::Error::other).map_err(ServeError::Task),
        () = storage.failed() => return Err(ServeError::WriteFailed),
        () = shutdown => {}
    }
    tracing::info!("stopping");
    ready.send_replace(false);
    services::set_health(&health, ServingStatus::NotServing).await;
    engine.stop(config.drain).await;
    stop_runner.cancel();
    let _ = close.send(());
    // Stages and streams of clients that do not read are aborted if they have not ended by now.
    let (end_runner, end_serving) = (runner.abort_handle(), serving.abort_handle());
    let _ = time::timeout(CLOSE_TIMEOUT, async { (runner.await, serving.await) }).await;
    end_runner.abort();
    end_serving.abort();
    storage.close().await;
    tracing::info!("stopped");
    Ok(())
}

fn unusable(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServeError {
    let path = path.to_owned();
    move |source| ServeError::Directory { what, path, source }
}
