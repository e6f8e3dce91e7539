//! PipelineService: what is stored, and what is refused before anything changes.

use std::collections::HashSet;

use pipewright::proto::v1::{self, ConcurrencyPolicy, RunCondition, stage::Type};
use prost_types::FieldMask;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::service::{Service, existing_id, map, pipeline, refusal, stage};

pub(crate) async fn create(
    service: &Service,
    pipeline: v1::Pipeline,
) -> Result<v1::Pipeline, Status> {
    let request = v1::CreatePipelineRequest {
        pipeline: Some(pipeline),
        ..Default::default()
    };
    let created = service.pipelines().create_pipeline(request).await?;
    Ok(created.into_inner().pipeline.unwrap())
}

pub(crate) async fn get(
    service: &Service,
    id: &str,
    revision: i64,
) -> Result<v1::Pipeline, Status> {
    let request = v1::GetPipelineRequest {
        pipeline_id: id.to_owned(),
        revision,
    };
    Ok(service
        .pipelines()
        .get_pipeline(request)
        .await?
        .into_inner()
        .pipeline
        .unwrap())
}

pub(crate) async fn update(
    service: &Service,
    pipeline: v1::Pipeline,
    paths: &[&str],
) -> Result<v1::Pipeline, Status> {
    let request = v1::UpdatePipelineRequest {
        pipeline: Some(pipeline),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        ..Default::default()
    };
    let updated = service.pipelines().update_pipeline(request).await?;
    Ok(updated.into_inner().pipeline.unwrap())
}

pub(crate) async fn list(
    service: &Service,
    request: v1::ListPipelinesRequest,
) -> Result<v1::ListPipelinesResponse, Status> {
    Ok(service
        .pipelines()
        .list_pipelines(request)
        .await?
        .into_inner())
}

#[tokio::test]
async fn a_pipeline_is_stored_with_its_defaults() {
    let service = Service::start().await;
    let created = create(
        &service,
        v1::Pipeline {
            id: "ignored".into(),
            revision: 7,
            creator: "ignored".into(),
            annotations: map(&[("team", "core")]),
            ..pipeline("CI", [stage("test", "true")])
        },
    )
    .await
    .unwrap();

    assert_eq!(Uuid::parse_str(&created.id).unwrap().get_version_num(), 7);
    assert_eq!((created.project.as_str(), created.revision), ("default", 1));
    assert_eq!(created.creator, "anonymous");
    assert_eq!(created.concurrency_policy(), ConcurrencyPolicy::Allow);
    assert_eq!(created.stages[0].r#type(), Type::Run);
    assert_eq!(created.stages[0].run_condition(), RunCondition::OnSuccess);
    assert_eq!(created.stages[0].timeout.unwrap().seconds, 600);
    assert_eq!(created.create_time, created.update_time);
    assert_eq!(get(&service, &created.id, 0).await.unwrap(), created);
}

#[tokio::test]
async fn a_check_stores_nothing() {
    let service = Service::start().await;
    let request = |name: &str| v1::CreatePipelineRequest {
        pipeline: Some(pipeline(name, [stage("s", "true")])),
        // Not parsed, so it need not be a UUID.
        request_id: "no UUID".to_owned(),
        validate_only: true,
    };
    let checked = service
        .pipelines()
        .create_pipeline(request("p"))
        .await
        .unwrap()
        .into_inner();
    let checked = checked.pipeline.unwrap();
    assert_eq!((checked.id.as_str(), checked.etag.as_str()), ("", ""));
    assert_eq!((checked.create_time, checked.update_time), (None, None));
    assert_eq!(checked.name, "p");
    assert!(
        list(&service, Default::default())
            .await
            .unwrap()
            .pipelines
            .is_empty()
    );

    let created = create(&service, pipeline("p", [stage("s", "true")]))
        .await
        .unwrap();
    let taken = service.pipelines().create_pipeline(request("p")).await;
    assert_eq!(existing_id(&taken), created.id);
    assert_eq!(refusal(taken).1, "PIPELINE_NAME_TAKEN");
}

#[tokio::test]
async fn a_name_is_unique_within_its_project() {
    let service = Service::start().await;
    let first = create(&service, pipeline("p", [stage("s", "true")]))
        .await
        .unwrap();
    let status = create(&service, pipeline("p", [stage("s", "true")])).await;
    assert_eq!(existing_id(&status), first.id);
    assert_eq!(
        refusal(status),
        (Code::AlreadyExists, "PIPELINE_NAME_TAKEN".into(), vec![])
    );
    let elsewhere = v1::Pipeline {
        project: "other".into(),
        ..pipeline("p", [stage("s", "true")])
    };
    create(&service, elsewhere).await.unwrap();

    let second = create(&service, pipeline("q", [stage("s", "true")]))
        .await
        .unwrap();
    let rename = |pipeline: &v1::Pipeline, name: &str| v1::Pipeline {
        name: name.to_owned(),
        ..pipeline.clone()
    };
    let taken = update(&service, rename(&second, "p"), &["name"]).await;
    assert_eq!(existing_id(&taken), first.id);
    assert_eq!(refusal(taken).1, "PIPELINE_NAME_TAKEN");
    // A released name can be taken.
    update(&service, rename(&first, "r"), &["name"])
        .await
        .unwrap();
    update(&service, rename(&second, "p"), &["name"])
        .await
        .unwrap();
}

#[tokio::test]
async fn updates_change_what_the_mask_names() {
    let service = Service::start().await;
    let created = create(
        &service,
        v1::Pipeline {
            git_repository: "https://example.com/r.git".into(),
            variables: map(&[("A", "1")]),
            parallel: true,
            ..pipeline("p", [stage("s", "true")])
        },
    )
    .await
    .unwrap();

    // Without paths: the populated fields. `parallel: false` is not one.
    let sparse = v1::Pipeline {
        id: created.id.clone(),
        default_ref: "main".into(),
        ..Default::default()
    };
    let second = update(&service, sparse.clone(), &[]).await.unwrap();
    assert_eq!((second.revision, second.default_ref.as_str()), (2, "main"));
    assert!(second.parallel);
    assert_ne!(second.etag, created.etag);
    assert_eq!(second.create_time, created.create_time);

    // A change without an effect creates no revision.
    assert_eq!(update(&service, sparse.clone(), &[]).await.unwrap(), second);

    // With paths: exactly those, empty or not.
    let third = update(&service, sparse.clone(), &["parallel", "variables"])
        .await
        .unwrap();
    assert_eq!(
        (third.revision, third.parallel, third.variables.len()),
        (3, false, 0)
    );
    assert_eq!(third.default_ref, "main");

    // The star replaces everything that GetPipeline returns.
    let fourth = update(
        &service,
        v1::Pipeline {
            id: created.id.clone(),
            ..pipeline("new", [stage("t", "false")])
        },
        &["*"],
    )
    .await
    .unwrap();
    assert_eq!((fourth.revision, fourth.name.as_str()), (4, "new"));
    assert_eq!(
        (fourth.default_ref.as_str(), fourth.stages[0].name.as_str()),
        ("", "t")
    );

    // Each revision stays as it was.
    for revision in [&created, &second, &third, &fourth] {
        assert_eq!(
            get(&service, &created.id, revision.revision).await.unwrap(),
            *revision
        );
    }
    let missing = refusal(get(&service, &created.id, 5).await);
    assert_eq!(
        missing,
        (Code::NotFound, "REVISION_NOT_FOUND".into(), vec![])
    );
}

#[tokio::test]
async fn bad_updates_are_refused_and_change_nothing() {
    let service = Service::start().await;
    let created = create(&service, pipeline("p", [stage("s", "true")]))
        .await
        .unwrap();
    for path in [
        "id",
        "etag",
        "revision",
        "project",
        "create_time",
        "stages.name",
        "nonsense",
    ] {
        let refused = refusal(update(&service, created.clone(), &["name", path]).await);
        let field = vec!["update_mask.paths[1]".to_owned()];
        assert_eq!(
            refused,
            (Code::InvalidArgument, "INVALID_FIELDS".into(), field),
            "{path}"
        );
    }
    let emptied = v1::Pipeline {
        stages: Vec::new(),
        ..created.clone()
    };
    assert_eq!(
        refusal(update(&service, emptied, &["stages"]).await).2,
        ["pipeline.stages"]
    );
    let moved = v1::Pipeline {
        project: "other".into(),
        ..created.clone()
    };
    assert_eq!(
        refusal(update(&service, moved, &["*"]).await).2,
        ["pipeline.project"]
    );
    let stale = v1::Pipeline {
        etag: "stale".into(),
        name: "q".into(),
        ..created.clone()
    };
    let refused = refusal(update(&service, stale, &[]).await);
    assert_eq!(refused, (Code::Aborted, "ETAG_MISMATCH".into(), vec![]));
    let nowhere = v1::Pipeline {
        id: Uuid::now_v7().to_string(),
        ..created.clone()
    };
    assert_eq!(
        refusal(update(&service, nowhere, &[]).await).1,
        "PIPELINE_NOT_FOUND"
    );
    assert_eq!(get(&service, &created.id, 0).await.unwrap(), created);
}

/// Fields outside the mask are not validated.
#[tokio::test]
async fn fields_outside_the_mask_are_not_refused() {
    let service = Service::without_runner().await;
    let created = create(&service, pipeline("p", [stage("s", "true")]))
        .await
        .unwrap();
    let mut change = v1::Pipeline {
        name: "q".into(),
        concurrency_policy: 99,
        ..created.clone()
    };
    change.stages[0].r#type = 99;
    assert_eq!(
        update(&service, change.clone(), &["name"])
            .await
            .unwrap()
            .name,
        "q"
    );
    assert_eq!(
        refusal(update(&service, change, &["name", "stages"]).await).2,
        ["pipeline.stages[0].type"]
    );
}

/// Of several updates with the same etag, one succeeds.
#[tokio::test]
async fn an_etag_lets_one_of_many_updates_succeed() {
    let service = Service::start().await;
    let created = create(&service, pipeline("p", [stage("s", "true")]))
        .await
        .unwrap();
    let writes = (0..16).map(|number| {
        let change = v1::Pipeline {
            variables: map(&[("NUMBER", &number.to_string())]),
            ..created.clone()
        };
        update(&service, change, &["variables"])
    });
    let results = futures_util::future::join_all(writes).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(get(&service, &created.id, 0).await.unwrap().revision, 2);
}

#[tokio::test]
async fn the_jobs_of_a_deleted_pipeline_remain() {
    let service = Service::start().await;
    let created = create(&service, pipeline("p", [stage("s", "exec sleep 1000")]))
        .await
        .unwrap();
    let job = service.trigger(&created).await;
    service.until_running(&job.id, "s").await;
    let delete = async |etag: &str, force: bool| {
        let request = v1::DeletePipelineRequest {
            pipeline_id: created.id.clone(),
            etag: etag.to_owned(),
            force,
            ..Default::default()
        };
        service.pipelines().delete_pipeline(request).await
    };
    let active = refusal(delete("", false).await);
    assert_eq!(
        active,
        (
            Code::FailedPrecondition,
            "PIPELINE_HAS_ACTIVE_JOBS".into(),
            vec![]
        )
    );
    assert_eq!(refusal(delete("stale", true).await).1, "ETAG_MISMATCH");
    delete(&created.etag, true).await.unwrap();

    assert_eq!(
        refusal(get(&service, &created.id, 0).await).1,
        "PIPELINE_NOT_FOUND"
    );
    assert_eq!(refusal(delete("", true).await).1, "PIPELINE_NOT_FOUND");
    let job = service.ended(&job.id).await;
    let cancellation = job.cancellation.unwrap();
    assert_eq!(
        cancellation.cause(),
        v1::cancellation::Cause::PipelineDeleted
    );
    create(&service, pipeline("p", [stage("s", "true")]))
        .await
        .unwrap();

    let retry = v1::RetryJobRequest {
        job_id: job.id.clone(),
        ..Default::default()
    };
    let refused = refusal(service.jobs().retry_job(retry).await);
    assert_eq!(
        refused,
        (Code::FailedPrecondition, "PIPELINE_DELETED".into(), vec![])
    );
}

/// A repeated call has one effect and the same response.
#[tokio::test]
async fn a_request_id_makes_every_call_safe_to_repeat() {
    let service = Service::without_runner().await;
    let request_id = Uuid::new_v4().to_string();
    let create = |name: &str| v1::CreatePipelineRequest {
        pipeline: Some(pipeline(name, [stage("s", "true")])),
        request_id: request_id.clone(),
        ..Default::default()
    };
    let calls = (0..8).map(|_| {
        let mut pipelines = service.pipelines();
        let request = create("p");
        async move {
            pipelines
                .create_pipeline(request)
                .await
                .unwrap()
                .into_inner()
        }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.windows(2).all(|two| two[0] == two[1]));
    let pipeline_id = answers[0].pipeline.clone().unwrap().id;

    let other = refusal(service.pipelines().create_pipeline(create("q")).await);
    let field = vec!["request_id".to_owned()];
    assert_eq!(
        other,
        (
            Code::InvalidArgument,
            "REQUEST_ID_REUSED".into(),
            field.clone()
        )
    );
    let nonsense = v1::CreatePipelineRequest {
        request_id: "1".into(),
        ..create("r")
    };
    let nonsense = refusal(service.pipelines().create_pipeline(nonsense).await);
    assert_eq!(
        nonsense,
        (Code::InvalidArgument, "INVALID_FIELDS".into(), field)
    );

    // The same id with another method is another call.
    let trigger = v1::TriggerPipelineRequest {
        pipeline_id: pipeline_id.clone(),
        request_id: request_id.clone(),
        ..Default::default()
    };
    let calls = (0..8).map(|_| {
        let mut pipelines = service.pipelines();
        let request = trigger.clone();
        async move {
            pipelines
                .trigger_pipeline(request)
                .await
                .unwrap()
                .into_inner()
                .job
                .unwrap()
        }
    });
    let jobs = futures_util::future::join_all(calls).await;
    assert_eq!(
        jobs.iter().map(|job| &job.id).collect::<HashSet<_>>().len(),
        1
    );
    service.cancel(&jobs[0].id).await.unwrap();
    // A later repetition gets the first response, whatever happened to the job since.
    let again = service.pipelines().trigger_pipeline(trigger).await.unwrap();
    assert_eq!(again.into_inner().job.unwrap(), jobs[0]);

    let update = v1::UpdatePipelineRequest {
        pipeline: Some(v1::Pipeline {
            id: pipeline_id.clone(),
            parallel: true,
            ..Default::default()
        }),
        request_id: request_id.clone(),
        ..Default::default()
    };
    let calls = (0..8).map(|_| {
        let (mut pipelines, request) = (service.pipelines(), update.clone());
        async move {
            pipelines
                .update_pipeline(request)
                .await
                .unwrap()
                .into_inner()
        }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.windows(2).all(|two| two[0] == two[1]));

    let delete = v1::DeletePipelineRequest {
        pipeline_id,
        request_id,
        ..Default::default()
    };
    let calls = (0..8).map(|_| {
        let (mut pipelines, request) = (service.pipelines(), delete.clone());
        async move { pipelines.delete_pipeline(request).await.unwrap() }
    });
    futures_util::future::join_all(calls).await;
    service.pipelines().delete_pipeline(delete).await.unwrap();
}
