//! What callers without a role in a project see of it.

use pipewright::proto::v1;
use tonic::{Code, Status};

use super::{
    service, table,
    targets::{Target, call, deploying, target},
};
use crate::{known::As, raw_runner::registration};

#[tokio::test]
async fn a_foreign_project_looks_like_an_absent_one() {
    let service = service().await;
    let foreign = target(&service, "one", false).await;
    let absent = Target::absent();
    let outsider = As::new(&service, "outsider");
    for method in table::hidden() {
        let of_foreign = call(&outsider, method, &foreign).await.unwrap_err();
        let of_absent = call(&outsider, method, &absent).await.unwrap_err();
        assert_eq!(
            of_foreign.code(),
            Code::NotFound,
            "{method}: {of_foreign:?}"
        );
        // The same message and details, except for the name or id in the request.
        let details = |status: &Status, target: &Target| {
            let mut text = format!("{} {}", status.message(), status.details().escape_ascii());
            for own in [&target.project, &target.pipeline_id, &target.job_id] {
                text = text.replace(own.as_str(), "ASKED");
            }
            text
        };
        assert_eq!(
            details(&of_foreign, &foreign),
            details(&of_absent, &absent),
            "{method}"
        );
    }
    let jobs = outsider
        .jobs()
        .list_jobs(v1::ListJobsRequest::default())
        .await
        .unwrap();
    assert_eq!(jobs.into_inner(), v1::ListJobsResponse::default());
    for project in ["", "shop"] {
        let request = v1::ListPipelinesRequest {
            project: project.to_owned(),
            ..Default::default()
        };
        let pipelines = outsider.pipelines().list_pipelines(request).await.unwrap();
        assert_eq!(pipelines.into_inner(), v1::ListPipelinesResponse::default());
    }
}

#[tokio::test]
async fn a_name_of_another_project_can_be_used_again() {
    let service = service().await;
    target(&service, "one", false).await;
    let request = v1::CreatePipelineRequest {
        pipeline: Some(v1::Pipeline {
            project: "bank".to_owned(),
            ..deploying("one", false)
        }),
        ..Default::default()
    };
    let outsider = As::new(&service, "outsider");
    let created = outsider.pipelines().create_pipeline(request).await.unwrap();
    let created = created.into_inner().pipeline.unwrap();
    assert_eq!(created.creator, "outsider");
    let mut pipelines = outsider.pipelines();
    let all = pipelines.list_pipelines(v1::ListPipelinesRequest::default());
    let all = all.await.unwrap().into_inner().pipelines;
    assert_eq!(all, [created]);
}

#[tokio::test]
async fn a_runner_is_not_taken_over_by_another_principal() {
    let service = service().await;
    let (one, other) = (As::new(&service, "runner"), As::new(&service, "all-runner"));
    let first = one.leases().register_runner(registration()).await.unwrap();
    let first = first.into_inner().runner_id;
    let again = || pipewright::proto::runner_v1::RegisterRunnerRequest {
        runner_id: first.clone(),
        ..registration()
    };
    let foreign = other.leases().register_runner(again()).await.unwrap();
    assert_ne!(foreign.into_inner().runner_id, first);
    let own = one.leases().register_runner(again()).await.unwrap();
    assert_eq!(own.into_inner().runner_id, first);
}
