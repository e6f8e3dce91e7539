//! Composition: settings to parts to a running service. Wires, and nothing else.

use std::{
    collections::BTreeMap,
    env::{self, consts},
    fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, time};
use tokio_util::sync::CancellationToken;
use tonic::transport::{
    Server,
    server::{Router, TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::layer::util::{Identity, Stack};

use crate::{
    api::{AuditLayer, AuthLayer, Jobs, LeaseCalls, Pipelines, RefusalLayer, Runners},
    auth::{Authenticator, CredentialsError, LoginSettings},
    config::{Access, Config, EmbeddedRunner, Execution},
    engine::{Clock, Engine, IdSource, Settings, SystemClock, UuidV7},
    runner::{Leases, Runner, RunnerError, RunnerSettings, ServicePlace},
    store::{
        MemoryStore,
        logs::{FileLogs, LogLimits},
    },
    wire::{
        FILE_DESCRIPTOR_SET,
        runner_v1::lease_service_server::{LeaseServiceServer, SERVICE_NAME as LEASE_SERVICE},
        v1::{
            job_service_server::{JobServiceServer, SERVICE_NAME as JOB_SERVICE},
            pipeline_service_server::{PipelineServiceServer, SERVICE_NAME as PIPELINE_SERVICE},
            runner_service_server::{RunnerServiceServer, SERVICE_NAME as RUNNER_SERVICE},
        },
    },
};

const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
const STREAMS_PER_CONNECTION: u32 = 256;
const HEADER_LIST: u32 = 16 * 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long connections get to close once their streams were told to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What stands before the services: refusals are completed outermost, then nobody
/// passes who is not known.
type Layers = Stack<AuditLayer, Stack<AuthLayer, Stack<RefusalLayer, Identity>>>;

/// Why a service could not start, or broke off.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A directory cannot be used.
    #[error("cannot use the {what} {}: {source}", path.display())]
    Directory {
        /// What it is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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
    /// The listener broke.
    #[error("the listener failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Where time and ids come from.
pub struct Environment {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The source of ids.
    pub ids: Arc<dyn IdSource>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(UuidV7::default()),
        }
    }
}

/// Serves on a listener until `shutdown` ends, and then stops cleanly: refuses new
/// jobs, cancels active ones and waits for their end, ends streams, closes.
///
/// # Errors
/// If the service cannot start or breaks off.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    run_in(Environment::default(), config, listener, shutdown).await
}

/// As [`run`], with time and ids of the caller's.
///
/// # Errors
/// If the service cannot start or breaks off.
pub async fn run_in(
    environment: Environment,
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let authenticator = authenticator(&config, &environment.clock)?;
    let log_limits = LogLimits {
        of_a_log: config.max_stage_log,
        in_total: config.max_log_total,
    };
    // Removed when the service has ended, if it is a temporary one.
    let (log_dir, _temporary) = log_directory(config.log_dir)?;
    check_workspaces(config.runner.as_ref())?;
    let engine = Engine::start(
        Arc::new(MemoryStore::default()),
        FileLogs::new(log_dir.clone(), log_limits).map_err(unusable("log directory", &log_dir))?,
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
        },
    );
    let runner = embedded_runner(&engine, config.runner).await?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening; the store is in memory and ends with this process");
    }
    let stop_runner = CancellationToken::new();
    let mut runner = tokio::spawn(run_stages(runner, stop_runner.clone()));
    tokio::spawn(authenticator.follow());
    let (health, router) = routes(&engine, authenticator).await?;
    let (close, closed) = oneshot::channel();
    let mut serving = tokio::spawn(serve(router, listener, closed));

    tokio::select! {
        // Neither ends by itself unless it fails.
        ended = &mut runner => return Ok(ended.map_err(io::Error::other).map_err(ServeError::Task)??),
        ended = &mut serving => return Ok(ended.map_err(io::Error::other).map_err(ServeError::Task)??),
        () = shutdown => {}
    }
    tracing::info!("stopping: refusing new jobs, cancelling active ones");
    set_health(&health, ServingStatus::NotServing).await;
    engine.stop(config.drain).await;
    stop_runner.cancel();
    let _ = close.send(());
    // What has not ended by now, a stage or a client that does not read, is ended.
    let (end_runner, end_serving) = (runner.abort_handle(), serving.abort_handle());
    let _ = time::timeout(CLOSE_TIMEOUT, async { (runner.await, serving.await) }).await;
    end_runner.abort();
    end_serving.abort();
    tracing::info!("stopped");
    Ok(())
}

/// A runner in this process, if that is asked for.
async fn embedded_runner(
    engine: &Arc<Engine>,
    settings: Option<EmbeddedRunner>,
) -> Result<Option<Runner>, ServeError> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let settings = RunnerSettings {
        display_name: "embedded".to_owned(),
        labels: embedded_labels(),
        capacity: settings.workers,
        execution: settings.execution,
        supervision: settings.supervision,
        service: ServicePlace::ThisProcess,
    };
    let leases: Arc<dyn Leases> = Arc::<Engine>::clone(engine);
    let prepared = Runner::prepare(leases, settings).await;
    prepared.map(Some).map_err(ServeError::Unprepared)
}

/// Runs stages until `stop`.
async fn run_stages(runner: Option<Runner>, stop: CancellationToken) -> Result<(), RunnerError> {
    let Some(runner) = runner else {
        stop.cancelled().await;
        return Ok(());
    };
    runner.run(stop).await
}

/// The labels of the embedded runner: the operating system and the architecture, as
/// Rust names them.
pub fn embedded_labels() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("os".to_owned(), consts::OS.to_owned()),
        ("arch".to_owned(), consts::ARCH.to_owned()),
    ])
}

/// Tells callers as the settings say.
fn authenticator(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Authenticator>, CredentialsError> {
    Ok(Arc::new(match &config.access {
        Access::Open => Authenticator::open(),
        Access::Token(token) => Authenticator::token(token.clone()),
        Access::File(path) => {
            let clock = Arc::clone(clock);
            let settings = LoginSettings {
                max_failed_logins_per_minute: config.limits.max_failed_logins_per_minute,
                now: Arc::new(move || clock.now()),
            };
            Authenticator::file(path.clone(), settings)?
        }
    }))
}

async fn routes(
    engine: &Arc<Engine>,
    authenticator: Arc<Authenticator>,
) -> Result<(HealthReporter, Router<Layers>), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // With these, generic clients such as grpcurl show the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let router = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(HEADER_LIST)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(RefusalLayer)
        .layer(AuthLayer::new(authenticator))
        .layer(AuditLayer)
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(PipelineServiceServer::new(Pipelines::new(Arc::clone(
            engine,
        ))))
        .add_service(JobServiceServer::new(Jobs::new(Arc::clone(engine))))
        .add_service(RunnerServiceServer::new(Runners::new(Arc::clone(engine))))
        .add_service(LeaseServiceServer::new(LeaseCalls::new(engine.clone())));
    Ok((health, router))
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for service in [
        "",
        PIPELINE_SERVICE,
        JOB_SERVICE,
        RUNNER_SERVICE,
        LEASE_SERVICE,
    ] {
        health.set_service_status(service, status).await;
    }
}

async fn serve(
    router: Router<Layers>,
    listener: TcpListener,
    closed: oneshot::Receiver<()>,
) -> Result<(), tonic::transport::Error> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let close = async {
        // A closer that is gone means the same as one that closes.
        let _ = closed.await;
    };
    router.serve_with_incoming_shutdown(incoming, close).await
}

fn log_directory(configured: Option<PathBuf>) -> Result<(PathBuf, Option<TempDir>), ServeError> {
    if let Some(directory) = configured {
        return Ok((directory, None));
    }
    let temporary = tempfile::Builder::new()
        .prefix("pipewright-logs-")
        .tempdir()
        .map_err(unusable("temporary directory", &env::temp_dir()))?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

/// Finds out before anybody is served whether there can be workspaces.
fn check_workspaces(runner: Option<&EmbeddedRunner>) -> Result<(), ServeError> {
    if let Some(runner) = runner
        && let Execution::Isolated {
            workspace_dir: Some(directory),
            ..
        } = &runner.execution
    {
        fs::create_dir_all(directory)
            .and_then(|()| tempfile::tempfile_in(directory).map(drop))
            .map_err(unusable("workspace directory", directory))?;
    }
    Ok(())
}

fn unusable(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServeError {
    let path = path.to_owned();
    move |source| ServeError::Directory { what, path, source }
}
