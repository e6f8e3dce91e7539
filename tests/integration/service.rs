//! The world of the integration tests: a service on a free loopback port.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use pipewright::{
    config::{Config, EmbeddedRunner, Execution, Supervision},
    engine::{Clock, UuidV7},
    proto::v1::{
        self, admin_service_client::AdminServiceClient, job_service_client::JobServiceClient,
        pipeline_service_client::PipelineServiceClient,
        project_service_client::ProjectServiceClient, runner_service_client::RunnerServiceClient,
    },
    server::{self, Environment, ServeError},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

/// A running service, with a directory that its stages may write to.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) channel: Channel,
    directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServeError>>,
}

/// The machine's time plus an offset that a test sets.
#[derive(Default)]
pub(crate) struct TestClock(Mutex<Duration>);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        SystemTime::now() + *self.0.lock()
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with_workers(workers: usize) -> Self {
        Self::with(|config| config.runner.as_mut().unwrap().workers = workers).await
    }

    /// A service that accepts jobs and runs nothing.
    pub(crate) async fn without_runner() -> Self {
        Self::with(|config| config.runner = None).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config {
            log_dir: Some(directory.path().join("logs")),
            runner: Some(EmbeddedRunner {
                workers: 2,
                execution: Execution::Isolated {
                    workspace_dir: Some(directory.path().join("workspaces")),
                    keep_workspaces: false,
                },
                supervision: Supervision {
                    program: Some(env!("CARGO_BIN_EXE_pipewright").into()),
                    ..Supervision::default()
                },
            }),
            kill_grace: Duration::from_secs(1),
            ..Config::default()
        };
        adjust(&mut config);
        let clock = Arc::new(TestClock::default());
        let environment = Environment {
            clock: clock.clone(),
            ids: Arc::new(UuidV7::default()),
            ..Environment::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(server::run_in(environment, config, listener, shutdown));
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        Self {
            address,
            clock,
            channel: channel.connect_lazy(),
            directory,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) fn pipelines(&self) -> PipelineServiceClient<Channel> {
        PipelineServiceClient::new(self.channel.clone())
    }

    pub(crate) fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel.clone())
    }

    pub(crate) fn runners(&self) -> RunnerServiceClient<Channel> {
        RunnerServiceClient::new(self.channel.clone())
    }

    pub(crate) fn projects(&self) -> ProjectServiceClient<Channel> {
        ProjectServiceClient::new(self.channel.clone())
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// A path in the directory that stages and the test share.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Creates a named pipe: a stage that reads it waits for [`open`].
    pub(crate) fn gate(&self, name: &str) -> PathBuf {
        let gate = self.path(name);
        let made = std::process::Command::new("mkfifo").arg(&gate).status();
        assert!(made.unwrap().success());
        gate
    }

    /// The directories of the jobs that have logs.
    pub(crate) fn log_directories(&self) -> Vec<PathBuf> {
        let mut directories = entries(&self.path("logs"));
        directories.retain(|path| path.is_dir());
        directories
    }

    pub(crate) async fn create(&self, pipeline: v1::Pipeline) -> v1::Pipeline {
        let request = v1::CreatePipelineRequest {
            pipeline: Some(pipeline),
            ..Default::default()
        };
        let created = self.pipelines().create_pipeline(request).await.unwrap();
        created.into_inner().pipeline.unwrap()
    }

    pub(crate) async fn trigger(&self, pipeline: &v1::Pipeline) -> v1::Job {
        let request = v1::TriggerPipelineRequest {
            pipeline_id: pipeline.id.clone(),
            ..Default::default()
        };
        let triggered = self.pipelines().trigger_pipeline(request).await.unwrap();
        triggered.into_inner().job.unwrap()
    }

    pub(crate) async fn get(&self, job_id: &str) -> v1::Job {
        let request = v1::GetJobRequest {
            job_id: job_id.to_owned(),
        };
        self.jobs()
            .get_job(request)
            .await
            .unwrap()
            .into_inner()
            .job
            .unwrap()
    }

    pub(crate) async fn cancel(&self, job_id: &str) -> Result<v1::Job, Status> {
        let request = v1::CancelJobRequest {
            job_id: job_id.to_owned(),
            reason: "the test says so".to_owned(),
        };
        let cancelled = self.jobs().cancel_job(request).await?;
        Ok(cancelled.into_inner().job.unwrap())
    }

    /// Creates, triggers and waits.
    pub(crate) async fn run(&self, pipeline: v1::Pipeline) -> v1::Job {
        let pipeline = self.create(pipeline).await;
        let job = self.trigger(&pipeline).await;
        self.ended(&job.id).await
    }

    /// Waits for the end of a job.
    pub(crate) async fn ended(&self, job_id: &str) -> v1::Job {
        let events = self.events(job_id).await;
        match events.into_iter().last().and_then(|event| event.change) {
            Some(v1::job_event::Change::JobEnded(ended)) => ended.job.unwrap(),
            other => panic!("the last event is {other:?}"),
        }
    }

    /// Waits for the end of a job and returns all of its events.
    pub(crate) async fn events(&self, job_id: &str) -> Vec<v1::JobEvent> {
        let mut stream = self.watch(job_id, Some(0)).await;
        let mut events = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            events.extend(events_of(message));
        }
        events
    }

    /// Waits for the first event of a job that satisfies a predicate.
    pub(crate) async fn until(&self, job_id: &str, wanted: impl Fn(&v1::JobEvent) -> bool) {
        let mut stream = self.watch(job_id, Some(0)).await;
        while let Some(message) = stream.message().await.unwrap() {
            if events_of(message).iter().any(&wanted) {
                return;
            }
        }
        panic!("job {job_id} ended without it");
    }

    /// Waits until a stage is running.
    pub(crate) async fn until_running(&self, job_id: &str, stage: &str) {
        self.until(job_id, |event| match &event.change {
            Some(v1::job_event::Change::StageRunChanged(changed)) => {
                let run = changed.stage_run.as_ref().unwrap();
                run.stage_name == stage && run.state() == v1::stage_run::State::Running
            }
            _ => false,
        })
        .await;
    }

    pub(crate) async fn watch(
        &self,
        job_id: &str,
        last_seen_sequence: Option<i64>,
    ) -> tonic::Streaming<v1::WatchJobResponse> {
        let request = v1::WatchJobRequest {
            job_id: job_id.to_owned(),
            last_seen_sequence,
            heartbeat_interval: None,
        };
        self.jobs().watch_job(request).await.unwrap().into_inner()
    }

    /// The whole log of a stage, once it is over.
    pub(crate) async fn log(&self, job_id: &str, stage: &str) -> Vec<u8> {
        let request = v1::ReadStageLogRequest {
            job_id: job_id.to_owned(),
            stage_name: stage.to_owned(),
            follow: true,
            ..Default::default()
        };
        let mut stream = self
            .jobs()
            .read_stage_log(request)
            .await
            .unwrap()
            .into_inner();
        let mut log = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            if let Some(v1::read_stage_log_response::Payload::Chunk(chunk)) = message.payload {
                assert_eq!(chunk.offset, log.len() as i64, "no gap and no repeat");
                log.extend_from_slice(&chunk.data);
            }
        }
        log
    }

    /// Waits until a stage has written a text.
    pub(crate) async fn until_logged(&self, job_id: &str, stage: &str, text: &str) {
        let request = v1::ReadStageLogRequest {
            job_id: job_id.to_owned(),
            stage_name: stage.to_owned(),
            follow: true,
            ..Default::default()
        };
        let mut stream = self
            .jobs()
            .read_stage_log(request)
            .await
            .unwrap()
            .into_inner();
        let mut log = String::new();
        while !log.contains(text) {
            let message = stream
                .message()
                .await
                .unwrap()
                .expect("the stage has not ended");
            if let Some(v1::read_stage_log_response::Payload::Chunk(chunk)) = message.payload {
                log.push_str(&String::from_utf8_lossy(&chunk.data));
            }
        }
    }

    /// Tells the service to stop, without waiting for it.
    pub(crate) fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the service has stopped.
    pub(crate) async fn stopped(self) -> Result<(), ServeError> {
        self.task.await.unwrap()
    }

    pub(crate) fn workspaces(&self) -> Vec<PathBuf> {
        entries(&self.path("workspaces"))
    }
}

/// Opens a pipe that a stage reads, which lets the stage continue. Waits for the
/// stage on a separate thread: the runner, which has to start the stage, shares the
/// test's thread.
pub(crate) async fn open(gate: &Path, text: &str) {
    tokio::fs::write(gate, text).await.unwrap();
}

pub(crate) fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

pub(crate) fn events_of(message: v1::WatchJobResponse) -> Vec<v1::JobEvent> {
    match message.payload {
        Some(v1::watch_job_response::Payload::Events(batch)) => batch.events,
        _ => Vec::new(),
    }
}

/// A stage that runs a command.
pub(crate) fn stage(name: &str, command: &str) -> v1::Stage {
    v1::Stage {
        name: name.to_owned(),
        action: Some(v1::stage::Action::Command(command.to_owned())),
        ..Default::default()
    }
}

/// A sequential pipeline of stages.
pub(crate) fn pipeline(name: &str, stages: impl IntoIterator<Item = v1::Stage>) -> v1::Pipeline {
    v1::Pipeline {
        name: name.to_owned(),
        stages: stages.into_iter().collect(),
        ..Default::default()
    }
}

pub(crate) fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// The id of what is there already, as a refusal with ALREADY_EXISTS tells it.
#[track_caller]
pub(crate) fn existing_id<T: std::fmt::Debug>(result: &Result<T, Status>) -> String {
    let status = result.as_ref().expect_err("a refusal");
    assert_eq!(status.code(), Code::AlreadyExists);
    let info = status.get_details_error_info().expect("an ErrorInfo");
    info.metadata["existing_id"].clone()
}

/// A refusal as `code REASON`, and the paths of the fields that it names.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(
    result: Result<T, Status>,
) -> (Code, String, Vec<String>) {
    let status = result.expect_err("a refusal");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "pipewright");
    let fields = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations);
    let fields = fields
        .unwrap_or_default()
        .into_iter()
        .map(|violation| violation.field);
    (status.code(), info.reason, fields.collect())
}

pub(crate) fn states(job: &v1::Job) -> Vec<(&str, v1::stage_run::State)> {
    job.stage_runs
        .iter()
        .map(|run| (run.stage_name.as_str(), run.state()))
        .collect()
}
