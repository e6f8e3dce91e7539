//! Pipelines that are refused, and how the refusal names what is wrong.

use pipewright::proto::v1::{self, RunCondition};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    pipelines::{create, list, update},
    service::{Service, map, pipeline, refusal, stage},
};

/// All violations are reported together, each with the path of its field.
#[tokio::test]
async fn bad_pipelines_are_refused_field_by_field() {
    let service = Service::start().await;
    let with = |change: &dyn Fn(&mut v1::Pipeline)| {
        let mut pipeline = pipeline("p", [stage("a", "true"), stage("b", "true")]);
        change(&mut pipeline);
        pipeline
    };
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let cases: Vec<(&[&str], v1::Pipeline)> = vec![
        (&["pipeline.name"], with(&|p| p.name.clear())),
        (&["pipeline.name"], with(&|p| p.name = " p".into())),
        (&["pipeline.name"], with(&|p| p.name = "a\nb".into())),
        (&["pipeline.name"], with(&|p| p.name = "x".repeat(129))),
        (
            &["pipeline.project"],
            with(&|p| p.project = "Not A Slug".into()),
        ),
        (&["pipeline.stages"], with(&|p| p.stages.clear())),
        (
            &["pipeline.stages"],
            with(&|p| p.stages = (0..201).map(|n| stage(&format!("s{n}"), "true")).collect()),
        ),
        (
            &["pipeline.stages[1].name"],
            with(&|p| p.stages[1].name.clear()),
        ),
        (
            &["pipeline.stages[1].name"],
            with(&|p| p.stages[1].name = "a".into()),
        ),
        (
            &["pipeline.stages[0].name"],
            with(&|p| p.stages[0].name = "1st".into()),
        ),
        (
            &["pipeline.stages[0].command"],
            with(&|p| p.stages[0].action = None),
        ),
        (
            &["pipeline.stages[0].command"],
            with(&|p| p.stages[0] = stage("a", &"x".repeat(64 * 1024 + 1))),
        ),
        (
            &["pipeline.stages[0].timeout"],
            with(&|p| p.stages[0].timeout = seconds(0)),
        ),
        (
            &["pipeline.stages[0].timeout"],
            with(&|p| p.stages[0].timeout = seconds(-5)),
        ),
        (
            &["pipeline.stages[0].timeout"],
            with(&|p| p.stages[0].timeout = seconds(86_401)),
        ),
        (
            &["pipeline.stages[0].type"],
            with(&|p| p.stages[0].r#type = 99),
        ),
        (
            &["pipeline.stages[0].needs[0]"],
            with(&|p| p.stages[0].needs = vec!["c".into()]),
        ),
        (
            &["pipeline.stages[0].needs"],
            with(&|p| p.stages[0].needs = vec!["b".into()]),
        ),
        (
            &["pipeline.stages[0].run_condition"],
            with(&|p| p.stages[0].run_condition = RunCondition::OnFailure.into()),
        ),
        (
            &["pipeline.stages[0].working_directory"],
            with(&|p| p.stages[0].working_directory = "a/../../b".into()),
        ),
        (
            &["pipeline.variables[\"1A\"]", "pipeline.variables[\"CI\"]"],
            with(&|p| p.variables = map(&[("1A", ""), ("CI", "false")])),
        ),
        (
            &["pipeline.stages[1].variables[\"PIPEWRIGHT_JOB_ID\"]"],
            with(&|p| p.stages[1].variables = map(&[("PIPEWRIGHT_JOB_ID", "x")])),
        ),
        (
            &["pipeline.git_repository"],
            with(&|p| p.git_repository = "ext::sh -c id".into()),
        ),
        (
            &["pipeline.git_repository"],
            with(&|p| p.git_repository = "file:///etc".into()),
        ),
        (
            &["pipeline.git_repository"],
            with(&|p| p.git_repository = "http:///x".into()),
        ),
        (
            &["pipeline.git_repository"],
            with(&|p| p.git_repository = "/etc".into()),
        ),
        (
            &["pipeline.git_repository"],
            with(&|p| p.git_repository = "https://me:secret@example.com/r.git".into()),
        ),
        (
            &["pipeline.git_repository"],
            with(&|p| p.git_repository = "https://t0ken@example.com/r.git".into()),
        ),
        (
            &["pipeline.git_repository"],
            with(&|p| p.git_repository = "https://example.com/r.git?token=x".into()),
        ),
        (
            &["pipeline.default_ref"],
            with(&|p| p.default_ref = "main".into()),
        ),
        (
            &["pipeline.name"],
            with(&|p| p.name = "0190b2f0-0000-7000-8000-000000000001".into()),
        ),
        (
            &["pipeline.name", "pipeline.stages[0].name"],
            with(&|p| {
                p.name = "a\u{202e}b".into();
                p.stages[0].name = "a\u{200b}b".into();
            }),
        ),
        (
            &["pipeline.default_ref"],
            with(&|p| {
                p.git_repository = "https://example.com/r.git".into();
                p.default_ref = "--upload-pack=touch /tmp/x".into();
            }),
        ),
        (
            &["pipeline.default_ref"],
            with(&|p| {
                p.git_repository = "https://example.com/r.git".into();
                p.default_ref = "a..b".into();
            }),
        ),
        (
            &["pipeline.concurrency_policy"],
            with(&|p| p.concurrency_policy = 42),
        ),
        (
            &["pipeline.annotations"],
            with(&|p| p.annotations = map(&[("a", &"x".repeat(16 * 1024))])),
        ),
        (
            &[
                "pipeline.name",
                "pipeline.stages[0].name",
                "pipeline.stages[1].command",
            ],
            with(&|p| {
                p.name.clear();
                p.stages[0].name = "0".into();
                p.stages[1].action = None;
            }),
        ),
    ];
    for (fields, pipeline) in cases {
        let refused = refusal(create(&service, pipeline.clone()).await);
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        assert_eq!(
            refused,
            (Code::InvalidArgument, "INVALID_FIELDS".to_owned(), fields),
            "{pipeline:?}"
        );
    }
    let refused = service
        .pipelines()
        .create_pipeline(v1::CreatePipelineRequest::default())
        .await;
    assert_eq!(refusal(refused).2, ["pipeline"]);
    assert!(
        list(&service, Default::default())
            .await
            .unwrap()
            .pipelines
            .is_empty()
    );
}

/// However many violations there are, the error fits into the limits of clients.
#[tokio::test]
async fn a_refusal_stays_small() {
    let service = Service::without_runner().await;
    let long = "\u{1F600}".repeat(100);
    let bad = |number: usize| stage(&format!("{number}{long}"), "");
    let status = create(&service, pipeline(&long.repeat(9), (0..200).map(bad)))
        .await
        .unwrap_err();
    assert!(
        status.details().len() < 4096,
        "{} bytes",
        status.details().len()
    );
    assert!(status.message().len() < 1024);
    assert!(
        status
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .len()
            > 3
    );
}

#[tokio::test]
async fn a_cycle_is_named() {
    let service = Service::start().await;
    let after = |name: &str, need: &str| v1::Stage {
        needs: vec![need.to_owned()],
        ..stage(name, "true")
    };
    let cyclic = v1::Pipeline {
        parallel: true,
        ..pipeline(
            "p",
            [
                stage("x", "true"),
                after("a", "c"),
                after("b", "a"),
                after("c", "b"),
            ],
        )
    };
    let status = create(&service, cyclic).await.unwrap_err();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "pipeline.stages[1].needs");
    assert_eq!(
        violations[0].description,
        "stages wait for each other: a -> c -> b -> a"
    );
}

#[tokio::test]
async fn a_pipeline_may_not_be_too_large() {
    let service = Service::start().await;
    let huge = |count: usize| {
        pipeline(
            "p",
            (0..count).map(|n| stage(&format!("s{n}"), &"#".repeat(60 * 1024))),
        )
    };
    assert_eq!(refusal(create(&service, huge(18)).await).2, ["pipeline"]);
    let created = create(&service, huge(1)).await.unwrap();
    let grown = v1::Pipeline {
        id: created.id.clone(),
        ..huge(18)
    };
    assert_eq!(
        refusal(update(&service, grown, &["stages"]).await).2,
        ["pipeline"]
    );
}
