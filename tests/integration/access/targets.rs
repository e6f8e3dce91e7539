//! Calls of every method on a target.

use pipewright::proto::{
    runner_v1::{
        AcquireLeaseRequest, AppendLogRequest, CompleteLeaseRequest, DeregisterRunnerRequest,
        LeaseProof, Outcome, RenewLeaseRequest,
    },
    v1,
};
use tonic::Status;

use crate::{
    known::As,
    raw_runner::registration,
    service::{Service, stage},
};

/// The target of a call.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) project: String,
    pub(super) pipeline_id: String,
    pub(super) job_id: String,
    pub(super) runner_id: String,
    /// The session of the runner's process.
    pub(super) session_id: String,
}

impl Target {
    /// A target that does not exist.
    pub(super) fn absent() -> Self {
        let id = || uuid::Uuid::now_v7().to_string();
        Self {
            project: "none".to_owned(),
            pipeline_id: id(),
            job_id: id(),
            runner_id: id(),
            session_id: id(),
        }
    }
}

/// Calls a method on a target. Returns whether the response shows the target: a
/// list may not.
pub(super) async fn call(caller: &As, method: &str, target: &Target) -> Result<bool, Status> {
    match method.split_once('/').unwrap() {
        ("PipelineService", method) => pipelines(caller, method, target).await,
        ("JobService", method) => jobs(caller, method, target).await,
        ("ProjectService", method) => projects(caller, method, target).await,
        ("RunnerService", method) => runners(caller, method, target).await,
        ("LeaseService", method) => leases(caller, method, target).await,
        ("AdminService", "ListTasks") => {
            let request = v1::ListTasksRequest::default();
            let tasks = caller.admin().list_tasks(request).await?;
            Ok(!tasks.into_inner().tasks.is_empty())
        }
        _ => panic!("{method} is not called here"),
    }
}

async fn pipelines(caller: &As, method: &str, target: &Target) -> Result<bool, Status> {
    let mut client = caller.pipelines();
    let pipeline_id = target.pipeline_id.clone();
    match method {
        "CreatePipeline" => {
            let request = v1::CreatePipelineRequest {
                pipeline: Some(v1::Pipeline {
                    project: target.project.clone(),
                    ..deploying("new", false)
                }),
                validate_only: true,
                ..Default::default()
            };
            client.create_pipeline(request).await?;
        }
        "GetPipeline" => {
            let request = v1::GetPipelineRequest {
                pipeline_id,
                ..Default::default()
            };
            client.get_pipeline(request).await?;
        }
        "ListPipelines" => {
            let request = v1::ListPipelinesRequest::default();
            let listed = client.list_pipelines(request).await?.into_inner().pipelines;
            return Ok(listed.iter().any(|one| one.id == pipeline_id));
        }
        "UpdatePipeline" => {
            let pipeline = v1::Pipeline {
                id: pipeline_id,
                parallel: true,
                ..Default::default()
            };
            let request = v1::UpdatePipelineRequest {
                pipeline: Some(pipeline),
                ..Default::default()
            };
            client.update_pipeline(request).await?;
        }
        "DeletePipeline" => {
            let request = v1::DeletePipelineRequest {
                pipeline_id,
                force: true,
                ..Default::default()
            };
            client.delete_pipeline(request).await?;
        }
        "TriggerPipeline" => {
            let request = v1::TriggerPipelineRequest {
                pipeline_id,
                ..Default::default()
            };
            client.trigger_pipeline(request).await?;
        }
        _ => panic!("{method} is not called here"),
    }
    Ok(true)
}

async fn jobs(caller: &As, method: &str, target: &Target) -> Result<bool, Status> {
    let mut client = caller.jobs();
    let job_id = target.job_id.clone();
    match method {
        "GetJob" => {
            client.get_job(v1::GetJobRequest { job_id }).await?;
        }
        "ListJobs" => {
            let request = v1::ListJobsRequest::default();
            let listed = client.list_jobs(request).await?.into_inner().jobs;
            return Ok(listed.iter().any(|one| one.id == job_id));
        }
        "WatchJob" => {
            let request = v1::WatchJobRequest {
                job_id,
                ..Default::default()
            };
            client.watch_job(request).await?;
        }
        "ReadStageLog" => {
            let request = v1::ReadStageLogRequest {
                job_id,
                stage_name: "only".to_owned(),
                ..Default::default()
            };
            client.read_stage_log(request).await?;
        }
        "CancelJob" => {
            let request = v1::CancelJobRequest {
                job_id,
                ..Default::default()
            };
            client.cancel_job(request).await?;
        }
        "RetryJob" => {
            let request = v1::RetryJobRequest {
                job_id,
                ..Default::default()
            };
            client.retry_job(request).await?;
        }
        _ => panic!("{method} is not called here"),
    }
    Ok(true)
}

async fn projects(caller: &As, method: &str, target: &Target) -> Result<bool, Status> {
    let mut client = caller.projects();
    let name = target.project.clone();
    let project = || {
        Some(v1::Project {
            name: name.clone(),
            description: "sells".to_owned(),
            ..Default::default()
        })
    };
    match method {
        "CreateProject" => {
            let request = v1::CreateProjectRequest {
                project: project(),
                ..Default::default()
            };
            client.create_project(request).await?;
        }
        "GetProject" => {
            client.get_project(v1::GetProjectRequest { name }).await?;
        }
        "ListProjects" => {
            let request = v1::ListProjectsRequest::default();
            let listed = client.list_projects(request).await?.into_inner().projects;
            return Ok(listed.iter().any(|one| one.name == name));
        }
        "UpdateProject" => {
            let request = v1::UpdateProjectRequest {
                project: project(),
                ..Default::default()
            };
            client.update_project(request).await?;
        }
        "DeleteProject" => {
            let request = v1::DeleteProjectRequest {
                name,
                ..Default::default()
            };
            client.delete_project(request).await?;
        }
        _ => panic!("{method} is not called here"),
    }
    Ok(true)
}

async fn runners(caller: &As, method: &str, target: &Target) -> Result<bool, Status> {
    let mut client = caller.runners();
    let runner_id = target.runner_id.clone();
    match method {
        "GetRunner" => {
            client
                .get_runner(v1::GetRunnerRequest { runner_id })
                .await?;
        }
        "ListRunners" => {
            let request = v1::ListRunnersRequest::default();
            let listed = client.list_runners(request).await?.into_inner().runners;
            return Ok(listed.iter().any(|one| one.id == runner_id));
        }
        "DrainRunner" => {
            let request = v1::DrainRunnerRequest { runner_id };
            client.drain_runner(request).await?;
        }
        "ResumeRunner" => {
            let request = v1::ResumeRunnerRequest { runner_id };
            client.resume_runner(request).await?;
        }
        _ => panic!("{method} is not called here"),
    }
    Ok(true)
}

/// Calls about a lease use one that never existed.
async fn leases(caller: &As, method: &str, target: &Target) -> Result<bool, Status> {
    let mut client = caller.leases();
    let proof = Some(LeaseProof {
        lease_id: uuid::Uuid::now_v7().to_string(),
        fencing_token: 1,
    });
    match method {
        "RegisterRunner" => {
            client.register_runner(registration()).await?;
        }
        "AcquireLease" => {
            let request = AcquireLeaseRequest {
                runner_id: target.runner_id.clone(),
                session_id: target.session_id.clone(),
                request_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            client.acquire_lease(request).await?;
        }
        "RenewLease" => {
            let request = RenewLeaseRequest {
                proof,
                ..Default::default()
            };
            client.renew_lease(request).await?;
        }
        "AppendLog" => {
            let request = AppendLogRequest {
                proof,
                data: vec![b'a'].into(),
                ..Default::default()
            };
            client.append_log(request).await?;
        }
        "CompleteLease" => {
            let request = CompleteLeaseRequest {
                proof,
                outcome: Outcome::Succeeded.into(),
                ..Default::default()
            };
            client.complete_lease(request).await?;
        }
        "DeregisterRunner" => {
            let request = DeregisterRunnerRequest {
                runner_id: target.runner_id.clone(),
                session_id: target.session_id.clone(),
            };
            client.deregister_runner(request).await?;
        }
        _ => panic!("{method} is not called here"),
    }
    Ok(true)
}

pub(super) fn deploying(name: &str, deploys: bool) -> v1::Pipeline {
    let stage_type = if deploys {
        v1::stage::Type::Deploy
    } else {
        v1::stage::Type::Run
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

/// A pipeline of the project `shop`, a waiting job of it, and a runner without
/// work.
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
    let (runner_id, session_id) = runner(service).await;
    Target {
        project: "shop".to_owned(),
        pipeline_id,
        job_id: triggered.into_inner().job.unwrap().id,
        runner_id,
        session_id,
    }
}

/// The project `shop`, empty.
pub(super) async fn empty_project(service: &Service) -> Target {
    let request = v1::CreateProjectRequest {
        project: Some(v1::Project {
            name: "shop".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let admin = As::new(service, "all-admin");
    // It may exist already, from an earlier call that was refused.
    let _ = admin.projects().create_project(request).await;
    shop()
}

/// The project `shop`, whether it exists or not.
pub(super) fn shop() -> Target {
    Target {
        project: "shop".to_owned(),
        ..Target::absent()
    }
}

async fn runner(service: &Service) -> (String, String) {
    let request = registration();
    let session_id = request.session_id.clone();
    let mut leases = As::new(service, "runner").leases();
    let registered = leases.register_runner(request).await.unwrap();
    (registered.into_inner().runner_id, session_id)
}
