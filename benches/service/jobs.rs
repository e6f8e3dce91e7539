//! A client for pipelines and jobs.

use std::net::SocketAddr;

use pipewright::proto::v1::{
    self, job_service_client::JobServiceClient, pipeline_service_client::PipelineServiceClient,
    watch_job_response::Payload,
};
use tonic::transport::Channel;

use crate::crowds::{CROWD, channel};

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) pipelines: PipelineServiceClient<Channel>,
    pub(crate) jobs: JobServiceClient<Channel>,
}

impl Client {
    pub(crate) fn of(channel: Channel) -> Self {
        Self {
            pipelines: PipelineServiceClient::new(channel.clone()),
            jobs: JobServiceClient::new(channel),
        }
    }

    /// Uses a separate connection, which is opened at its first use.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(channel(CROWD, address))
    }

    /// Creates a pipeline and returns its id.
    pub(crate) async fn create(&self, name: &str, stages: Vec<v1::Stage>) -> String {
        let pipeline = v1::Pipeline {
            name: name.to_owned(),
            stages,
            parallel: true,
            ..Default::default()
        };
        self.create_like(pipeline).await
    }

    pub(crate) async fn create_like(&self, pipeline: v1::Pipeline) -> String {
        let request = v1::CreatePipelineRequest {
            pipeline: Some(pipeline),
            ..Default::default()
        };
        let created = self.pipelines.clone().create_pipeline(request).await;
        created.unwrap().into_inner().pipeline.unwrap().id
    }

    /// Finds the id of a pipeline by name.
    pub(crate) async fn find(&self, name: String) -> String {
        let request = v1::ListPipelinesRequest {
            name,
            page_size: 1,
            ..Default::default()
        };
        let listed = self.pipelines.clone().list_pipelines(request).await;
        listed.unwrap().into_inner().pipelines.remove(0).id
    }

    /// The ids of the newest jobs.
    pub(crate) async fn newest_jobs(&self, count: i32) -> Vec<String> {
        let request = v1::ListJobsRequest {
            page_size: count,
            ..Default::default()
        };
        let listed = self.jobs.clone().list_jobs(request).await.unwrap();
        let jobs = listed.into_inner().jobs.into_iter();
        jobs.map(|job| job.id).collect()
    }

    /// Starts a job and returns its id.
    pub(crate) async fn trigger(&self, pipeline_id: &str) -> String {
        let request = v1::TriggerPipelineRequest {
            pipeline_id: pipeline_id.to_owned(),
            ..Default::default()
        };
        let triggered = self.pipelines.clone().trigger_pipeline(request).await;
        triggered.unwrap().into_inner().job.unwrap().id
    }

    /// Waits until a job has succeeded; panics if it ends otherwise.
    pub(crate) async fn succeeded(&self, job_id: &str) -> v1::Job {
        let request = v1::WatchJobRequest {
            job_id: job_id.to_owned(),
            ..Default::default()
        };
        let watch = self.jobs.clone().watch_job(request).await;
        let mut watch = watch.unwrap().into_inner();
        while let Some(message) = watch.message().await.unwrap() {
            let job = match message.payload {
                Some(Payload::Snapshot(snapshot)) => snapshot.job,
                Some(Payload::Events(batch)) => batch.events.into_iter().find_map(ended),
                _ => None,
            };
            if let Some(job) = job.filter(|job| job.end_time.is_some()) {
                assert_eq!(job.state(), v1::job::State::Succeeded, "{:?}", job.failure);
                return job;
            }
        }
        panic!("the watch ended before its job");
    }
}

fn ended(event: v1::JobEvent) -> Option<v1::Job> {
    match event.change {
        Some(v1::job_event::Change::JobEnded(ended)) => ended.job,
        _ => None,
    }
}
