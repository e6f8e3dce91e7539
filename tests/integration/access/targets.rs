//! Calls that concern a project, by what they concern.

use pipewright::proto::v1;
use tonic::Status;

use crate::{
    known::As,
    service::{Service, stage},
};

/// What a call of a method concerns.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) project: String,
    pub(super) pipeline_id: String,
    pub(super) job_id: String,
}

/// Calls a method of a project about a target.
pub(super) async fn about(caller: &As, method: &str, target: &Target) -> Result<(), Status> {
    let Target {
        project,
        pipeline_id,
        job_id,
    } = target.clone();
    let (mut pipelines, mut jobs) = (caller.pipelines(), caller.jobs());
    match method {
        "CreatePipeline" => {
            let request = v1::CreatePipelineRequest {
                pipeline: Some(v1::Pipeline {
                    project,
                    ..deploying("new", false)
                }),
                validate_only: true,
                ..Default::default()
            };
            pipelines.create_pipeline(request).await.map(drop)
        }
        "GetPipeline" => {
            let request = v1::GetPipelineRequest {
                pipeline_id,
                ..Default::default()
            };
            pipelines.get_pipeline(request).await.map(drop)
        }
        "UpdatePipeline" => {
            let pipeline = v1::Pipeline {
                id: pipeline_id,
                parallel: true,
                ..Default::default()
            };
            let request = v1::UpdatePipelineRequest {
                pipeline: Some(pipeline),
                validate_only: true,
                ..Default::default()
            };
            pipelines.update_pipeline(request).await.map(drop)
        }
        "TriggerPipeline" => {
            let request = v1::TriggerPipelineRequest {
                pipeline_id,
                validate_only: true,
                ..Default::default()
            };
            pipelines.trigger_pipeline(request).await.map(drop)
        }
        "GetJob" => jobs.get_job(v1::GetJobRequest { job_id }).await.map(drop),
        "WatchJob" => {
            let request = v1::WatchJobRequest {
                job_id,
                ..Default::default()
            };
            jobs.watch_job(request).await.map(drop)
        }
        "ReadStageLog" => {
            let stage_name = "only".to_owned();
            let request = v1::ReadStageLogRequest {
                job_id,
                stage_name,
                ..Default::default()
            };
            jobs.read_stage_log(request).await.map(drop)
        }
        "CancelJob" => {
            let request = v1::CancelJobRequest {
                job_id,
                ..Default::default()
            };
            jobs.cancel_job(request).await.map(drop)
        }
        "RetryJob" => {
            let request = v1::RetryJobRequest {
                job_id,
                ..Default::default()
            };
            jobs.retry_job(request).await.map(drop)
        }
        "DeletePipeline" => {
            let request = v1::DeletePipelineRequest {
                pipeline_id,
                force: true,
                ..Default::default()
            };
            pipelines.delete_pipeline(request).await.map(drop)
        }
        other => panic!("{other} concerns no target"),
    }
}

/// In an order in which each leaves what the next one needs.
pub(super) const ABOUT: [(&str, &str); 10] = [
    ("CreatePipeline", "admin"),
    ("GetPipeline", "viewer"),
    ("UpdatePipeline", "admin"),
    ("TriggerPipeline", "developer"),
    ("GetJob", "viewer"),
    ("WatchJob", "viewer"),
    ("ReadStageLog", "viewer"),
    ("CancelJob", "developer"),
    ("RetryJob", "developer"),
    ("DeletePipeline", "admin"),
];

pub(super) fn deploying(name: &str, deploys: bool) -> v1::Pipeline {
    let stage_type = match deploys {
        true => v1::stage::Type::Deploy,
        false => v1::stage::Type::Run,
    };
    let only = v1::Stage {
        r#type: stage_type.into(),
        ..stage("only", "true")
    };
    v1::Pipeline {
        project: "shop".to_owned(),
        ..crate::service::pipeline(name, [only])
    }
}

/// A pipeline of the project `shop`, and a job of it that waits.
pub(super) async fn target(service: &Service, name: &str, deploys: bool) -> Target {
    let admin = As::new(service, "all-admin");
    let request = v1::CreatePipelineRequest {
        pipeline: Some(deploying(name, deploys)),
        ..Default::default()
    };
    let created = admin.pipelines().create_pipeline(request).await.unwrap();
    let pipeline_id = created.into_inner().pipeline.unwrap().id;
    let request = v1::TriggerPipelineRequest {
        pipeline_id: pipeline_id.clone(),
        ..Default::default()
    };
    let triggered = admin.pipelines().trigger_pipeline(request).await.unwrap();
    Target {
        project: "shop".to_owned(),
        pipeline_id,
        job_id: triggered.into_inner().job.unwrap().id,
    }
}
