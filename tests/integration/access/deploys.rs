//! Who may end a job that deploys by starting another one.

use pipewright::proto::v1;
use tonic::{Code, Status};

use super::{service, targets::deploying, why};
use crate::{known::As, service::Service};

async fn trigger(caller: &As, pipeline_id: &str, validate_only: bool) -> Result<v1::Job, Status> {
    let request = v1::TriggerPipelineRequest {
        pipeline_id: pipeline_id.to_owned(),
        validate_only,
        ..Default::default()
    };
    let triggered = caller.pipelines().trigger_pipeline(request).await?;
    Ok(triggered.into_inner().job.unwrap())
}

async fn state(service: &Service, job: &v1::Job) -> v1::job::State {
    let request = v1::GetJobRequest {
        job_id: job.id.clone(),
    };
    let viewer = As::new(service, "viewer");
    let shown = viewer.jobs().get_job(request).await.unwrap();
    shown.into_inner().job.unwrap().state()
}

/// The job that is superseded runs another revision than the one that takes its place.
#[tokio::test]
async fn a_job_that_deploys_is_superseded_only_by_those_who_may_cancel_it() {
    let service = service().await;
    let admin = As::new(&service, "all-admin");
    let policy = v1::ConcurrencyPolicy::CancelRunning;
    let with_policy = |deploys| v1::Pipeline {
        concurrency_policy: policy.into(),
        ..deploying("p", deploys)
    };
    let request = v1::CreatePipelineRequest {
        pipeline: Some(with_policy(true)),
        ..Default::default()
    };
    let created = admin.pipelines().create_pipeline(request).await.unwrap();
    let pipeline_id = created.into_inner().pipeline.unwrap().id;
    let deployment = trigger(&admin, &pipeline_id, false).await.unwrap();
    let request = v1::UpdatePipelineRequest {
        pipeline: Some(v1::Pipeline {
            id: pipeline_id.clone(),
            ..with_policy(false)
        }),
        ..Default::default()
    };
    admin.pipelines().update_pipeline(request).await.unwrap();

    let developer = As::new(&service, "developer");
    let refused = (Code::PermissionDenied, "ROLE_REQUIRED".to_owned());
    for validate_only in [true, false] {
        let triggered = trigger(&developer, &pipeline_id, validate_only).await;
        assert_eq!(why(triggered), refused);
    }
    let queued = v1::job::State::Queued;
    assert_eq!(state(&service, &deployment).await, queued);
    let deployer = As::new(&service, "deployer");
    let harmless = trigger(&deployer, &pipeline_id, false).await.unwrap();
    let cancelled = v1::job::State::Cancelled;
    assert_eq!(state(&service, &deployment).await, cancelled);
    // What deploys nothing is the developer's to supersede.
    trigger(&developer, &pipeline_id, false).await.unwrap();
    assert_eq!(state(&service, &harmless).await, cancelled);
}
