//! The service for these tests: it runs nothing, on a free loopback port.

use std::{net::SocketAddr, time::Duration};

use pipewright::{
    config::{Config, Limits},
    proto::v1::{
        self, job_service_client::JobServiceClient, pipeline_service_client::PipelineServiceClient,
    },
    server::{self, ServeError},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time};
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt;

/// Longer than any test takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn limited(adjust: impl FnOnce(&mut Limits)) -> Self {
        Self::with(|config| adjust(&mut config.limits)).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            runner: None,
            ..Config::default()
        };
        adjust(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(server::run(config, listener, shutdown));
        Self {
            address,
            stop,
            task,
        }
    }

    /// The error with which the service fails to start.
    pub(crate) async fn failure(self) -> String {
        time::timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap_err()
            .to_string()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        time::timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    /// A connection of its own, opened on first use.
    pub(crate) fn channel(&self) -> Channel {
        let uri = format!("http://{}", self.address);
        Channel::from_shared(uri).unwrap().connect_lazy()
    }
}

pub(crate) async fn list(channel: &Channel) -> Result<(), Status> {
    let mut pipelines = PipelineServiceClient::new(channel.clone());
    let listed = pipelines.list_pipelines(v1::ListPipelinesRequest::default());
    time::timeout(PATIENCE, listed).await.unwrap().map(drop)
}

/// A job that waits for a runner; there is none.
pub(crate) async fn waiting_job(channel: &Channel) -> v1::Job {
    let mut pipelines = PipelineServiceClient::new(channel.clone());
    let stage = v1::Stage {
        name: "s".to_owned(),
        action: Some(v1::stage::Action::Command("true".to_owned())),
        ..Default::default()
    };
    let pipeline = v1::Pipeline {
        name: "p".to_owned(),
        stages: vec![stage],
        ..Default::default()
    };
    let create = v1::CreatePipelineRequest {
        pipeline: Some(pipeline),
        ..Default::default()
    };
    let created = pipelines.create_pipeline(create).await.unwrap();
    let trigger = v1::TriggerPipelineRequest {
        pipeline_id: created.into_inner().pipeline.unwrap().id,
        ..Default::default()
    };
    let triggered = pipelines.trigger_pipeline(trigger).await.unwrap();
    triggered.into_inner().job.unwrap()
}

/// A watch that has begun.
pub(crate) async fn watch(channel: &Channel, job: &v1::Job) -> Streaming<v1::WatchJobResponse> {
    let mut jobs = JobServiceClient::new(channel.clone());
    let request = watch_request(job);
    let mut stream = jobs.watch_job(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    stream
}

pub(crate) fn watch_request(job: &v1::Job) -> v1::WatchJobRequest {
    v1::WatchJobRequest {
        job_id: job.id.clone(),
        ..Default::default()
    }
}

pub(crate) async fn cancel(channel: &Channel, job: &v1::Job) {
    let request = v1::CancelJobRequest {
        job_id: job.id.clone(),
        ..Default::default()
    };
    let mut jobs = JobServiceClient::new(channel.clone());
    jobs.cancel_job(request).await.unwrap();
}

/// Reads a stream to its end, and returns how it ended.
pub(crate) async fn end<M>(mut stream: Streaming<M>) -> Result<(), Status> {
    let read = async {
        while stream.message().await?.is_some() {}
        Ok(())
    };
    time::timeout(PATIENCE, read).await.unwrap()
}

/// A refusal as its code, its reason and the setting that it names.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String, String) {
    let status = result.expect_err("a refusal");
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("{status:?} has no ErrorInfo"));
    let setting = info.metadata.get("setting").cloned().unwrap_or_default();
    assert!(status.message().contains(&setting), "{status:?}");
    (status.code(), info.reason, setting)
}
