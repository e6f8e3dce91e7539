//! What of a project those see who have no role in it.

use pipewright::proto::v1;
use tonic::{Code, Status};

use super::{
    service, table,
    targets::{Target, call, deploying, target},
};
use crate::{known::As, raw_runner::registration};

#[tokio::test]
async fn a_foreign_project_is_as_absent_as_one_that_is_not_there() {
    let service = service().await;
    let foreign = target(&service, "one", false).await;
    let absent = Target::absent();
    let stranger = As::new(&service, "stranger");
    for method in table::hidden() {
        let of_foreign = call(&stranger, method, &foreign).await.unwrap_err();
        let of_absent = call(&stranger, method, &absent).await.unwrap_err();
        assert_eq!(
            of_foreign.code(),
            Code::NotFound,
            "{method}: {of_foreign:?}"
        );
        // The same words and details, but for the name or id that was asked for.
        let told = |status: &Status, target: &Target| {
            let mut text = format!("{} {}", status.message(), status.details().escape_ascii());
            for own in [&target.project, &target.pipeline_id, &target.job_id] {
                text = text.replace(own.as_str(), "ASKED");
            }
            text
        };
        assert_eq!(
            told(&of_foreign, &foreign),
            told(&of_absent, &absent),
            "{method}"
        );
    }
    let jobs = stranger
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
        let pipelines = stranger.pipelines().list_pipelines(request).await.unwrap();
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
    let stranger = As::new(&service, "stranger");
    let created = stranger.pipelines().create_pipeline(request).await.unwrap();
    let created = created.into_inner().pipeline.unwrap();
    assert_eq!(created.creator, "stranger");
    let mut pipelines = stranger.pipelines();
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
