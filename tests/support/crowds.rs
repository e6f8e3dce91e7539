//! Operations of crowds of clients, and of the one client beside them that only
//! needs a response.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;
use pipewright::proto::v1::{
    self, job_service_client::JobServiceClient, pipeline_service_client::PipelineServiceClient,
    watch_job_response::Payload,
};
use tokio::time;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

/// Longer than any test takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The address of crowds; limits count by address.
pub(crate) const CROWD: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The address of the client beside them.
pub(crate) const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

pub(crate) fn endpoint(from: Ipv4Addr, service: SocketAddr) -> Endpoint {
    let endpoint = Endpoint::from_shared(format!("http://{service}")).unwrap();
    endpoint.local_address(Some(IpAddr::V4(from)))
}

/// A connection of its own, opened on first use.
pub(crate) fn channel(from: Ipv4Addr, service: SocketAddr) -> Channel {
    endpoint(from, service).connect_lazy()
}

/// Memory of a process, in KiB.
pub(crate) fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

/// Creates a pipeline and a job of it, which waits for a runner or has begun.
pub(crate) async fn job(channel: &Channel, stages: Vec<v1::Stage>) -> v1::Job {
    let mut pipelines = PipelineServiceClient::new(channel.clone());
    let pipeline = v1::Pipeline {
        name: "p".to_owned(),
        stages,
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

pub(crate) fn stage(name: &str, command: &str) -> v1::Stage {
    v1::Stage {
        name: name.to_owned(),
        action: Some(v1::stage::Action::Command(command.to_owned())),
        ..Default::default()
    }
}

pub(crate) async fn get(channel: &Channel, job: &v1::Job) -> Result<(), Status> {
    let mut pipelines = PipelineServiceClient::new(channel.clone());
    let request = v1::GetPipelineRequest {
        pipeline_id: job.pipeline_id.clone(),
        ..Default::default()
    };
    let answer = time::timeout(PATIENCE, pipelines.get_pipeline(request)).await;
    answer.expect("an answer").map(drop)
}

/// A watch from the first event on, or from a snapshot.
pub(crate) async fn watch(
    channel: &Channel,
    job: &v1::Job,
    last_seen_sequence: Option<i64>,
) -> Result<Streaming<v1::WatchJobResponse>, Status> {
    let request = v1::WatchJobRequest {
        job_id: job.id.clone(),
        last_seen_sequence,
        heartbeat_interval: Some(Duration::from_secs(60).try_into().unwrap()),
    };
    let mut jobs = JobServiceClient::new(channel.clone());
    Ok(jobs.watch_job(request).await?.into_inner())
}

/// Watchers on shared connections, each of which has its snapshot.
pub(crate) async fn idle_watchers(
    service: SocketAddr,
    job: &v1::Job,
    connections: usize,
    each: usize,
) -> Vec<Streaming<v1::WatchJobResponse>> {
    let mut watchers = Vec::new();
    for _ in 0..connections {
        let channel = channel(CROWD, service);
        let begun = (0..each).map(async |_| {
            let mut stream = watch(&channel, job, None).await.unwrap();
            let first = stream.message().await.unwrap().unwrap();
            assert!(matches!(first.payload, Some(Payload::Snapshot(_))));
            stream
        });
        watchers.extend(join_all(begun).await);
    }
    watchers
}

pub(crate) async fn cancel(channel: &Channel, job: &v1::Job) {
    let request = v1::CancelJobRequest {
        job_id: job.id.clone(),
        ..Default::default()
    };
    let mut jobs = JobServiceClient::new(channel.clone());
    jobs.cancel_job(request).await.unwrap();
}
