//! Secret variables: they reach the command, and nothing else.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use pipewright::proto::v1::{self, job_event::Change};
use prost::Message;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    pipelines::{create, get, list, update},
    service::{Service, map, open, pipeline, refusal, stage},
};

const TOKEN: &str = "hunter2/p@ss+word";
const OTHER: &str = "other-secret-of-the-trigger";

/// A pipeline with a secret.
fn secretive(stages: impl IntoIterator<Item = v1::Stage>) -> v1::Pipeline {
    v1::Pipeline {
        secret_variables: map(&[("TOKEN", TOKEN)]),
        ..pipeline("p", stages)
    }
}

fn trigger_request(pipeline: &v1::Pipeline) -> v1::TriggerPipelineRequest {
    v1::TriggerPipelineRequest {
        pipeline_id: pipeline.id.clone(),
        secret_variables: map(&[("OTHER", OTHER)]),
        ..Default::default()
    }
}

async fn trigger(
    service: &Service,
    request: v1::TriggerPipelineRequest,
) -> Result<v1::Job, Status> {
    let triggered = service.pipelines().trigger_pipeline(request).await?;
    Ok(triggered.into_inner().job.unwrap())
}

async fn retry(service: &Service, job: &v1::Job) -> v1::Job {
    let request = v1::RetryJobRequest {
        job_id: job.id.clone(),
        ..Default::default()
    };
    let retried = service.jobs().retry_job(request).await.unwrap();
    retried.into_inner().job.unwrap()
}

#[track_caller]
fn assert_clean(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in [TOKEN, OTHER] {
        let encoded = BASE64_STANDARD.encode(secret);
        assert!(!text.contains(secret) && !text.contains(&encoded), "{text}");
    }
}

#[tokio::test]
async fn a_command_gets_secrets_and_its_log_masks_them() {
    let service = Service::start().await;
    let seen = service.path("seen");
    let command = format!(
        r#"printf '%s %s' "$TOKEN" "$OTHER" > {}
        echo "-$TOKEN-$OTHER-"
        printf %s "$TOKEN" | base64
        echo "$TOKEN" | base64
        printf 'user:%s' "$TOKEN" | base64
        echo 'https://me:hunter2%2Fp%40ss%2Bword@example.com hunter2%2fp%40ss%2bword'
        "#,
        seen.display()
    );
    let created = service.create(secretive([stage("s", &command)])).await;
    let job = trigger(&service, trigger_request(&created)).await.unwrap();
    let job = service.ended(&job.id).await;
    assert_eq!(job.state(), v1::job::State::Succeeded, "{job:?}");
    assert_eq!(
        std::fs::read_to_string(seen).unwrap(),
        format!("{TOKEN} {OTHER}")
    );
    let log = service.log(&job.id, "s").await;
    // Two bits of the first character of the secret come from the character before.
    let expected = "-***-***-\n***\n***\ndXNlcjp***\nhttps://me:***@example.com ***\n";
    assert_eq!(String::from_utf8(log.clone()).unwrap(), expected);
    assert_eq!(job.stage_runs[0].log_size_bytes, log.len() as i64);
}

#[tokio::test]
async fn a_value_that_is_written_in_two_pieces_is_masked() {
    let service = Service::start().await;
    let gate = service.gate("gate");
    let command = format!(
        r#"printf 'ready> hun'; cat {}; echo "${{TOKEN#hun}} and ${{TOKEN%rd}}""#,
        gate.display()
    );
    let created = service.create(secretive([stage("s", &command)])).await;
    let job = service.trigger(&created).await;
    // Output that cannot be part of a secret is written immediately.
    service.until_logged(&job.id, "s", "ready> ").await;
    open(&gate, "").await;
    let log = service.log(&job.id, "s").await;
    assert_eq!(
        String::from_utf8(log).unwrap(),
        "ready> *** and hunter2/p@ss+wo\n"
    );
}

#[tokio::test]
async fn the_last_definition_of_a_name_decides_whether_it_is_secret() {
    let service = Service::start().await;
    let of_stage = v1::Stage {
        variables: map(&[("A", "stage-a"), ("C", "stage-c")]),
        ..stage("s", r#"echo "$A $B $C $D""#)
    };
    let created = v1::Pipeline {
        variables: map(&[("B", "pipeline-b")]),
        secret_variables: map(&[("A", "pipeline-a"), ("D", "pipeline-d")]),
        ..pipeline("p", [of_stage])
    };
    let created = service.create(created).await;
    let request = v1::TriggerPipelineRequest {
        variables: map(&[("D", "trigger-d")]),
        secret_variables: map(&[("B", "trigger-b"), ("C", "trigger-c")]),
        ..trigger_request(&created)
    };
    let job = trigger(&service, request).await.unwrap();
    let log = service.log(&job.id, "s").await;
    assert_eq!(
        String::from_utf8(log).unwrap(),
        "stage-a *** *** trigger-d\n"
    );
}

#[tokio::test]
async fn a_retry_gets_the_secrets_too() {
    let service = Service::start().await;
    let seen = service.path("seen");
    let command = format!("echo $TOKEN $OTHER | tee -a {}; exit 1", seen.display());
    let created = service.create(secretive([stage("s", &command)])).await;
    let job = trigger(&service, trigger_request(&created)).await.unwrap();
    service.ended(&job.id).await;
    let retried = retry(&service, &job).await;
    assert_eq!(retried.secret_variable_names, ["OTHER"]);
    service.ended(&retried.id).await;
    assert_eq!(
        std::fs::read_to_string(seen).unwrap(),
        format!("{TOKEN} {OTHER}\n").repeat(2)
    );
    assert_eq!(service.log(&retried.id, "s").await, b"*** ***\n");
}

#[tokio::test]
async fn no_response_and_no_event_has_a_value() {
    let service = Service::start().await;
    let command = r#"echo "$TOKEN $OTHER"; exit 3"#;
    let created = service.create(secretive([stage("s", command)])).await;
    assert_eq!(created.secret_variable_names, ["TOKEN"]);
    let changed = v1::Pipeline {
        secret_variables: map(&[("A", OTHER)]),
        ..created.clone()
    };
    let updated = update(&service, changed, &[]).await.unwrap();
    assert_eq!(updated.secret_variable_names, ["A", "TOKEN"]);
    let first = get(&service, &created.id, 1).await.unwrap();
    assert_eq!(first, created);
    let newest = get(&service, &created.id, 0).await.unwrap();
    assert_eq!(newest, updated);
    let listed = list(&service, Default::default()).await.unwrap();
    assert_eq!(listed.pipelines, std::slice::from_ref(&updated));
    for answer in [created, updated, first, newest] {
        assert_clean(&answer.encode_to_vec());
    }
    assert_clean(&listed.encode_to_vec());

    let job = trigger(&service, trigger_request(&listed.pipelines[0]));
    let job = job.await.unwrap();
    assert_eq!(job.secret_variable_names, ["OTHER"]);
    assert_clean(&job.encode_to_vec());
    let events = service.events(&job.id).await;
    let jobs = events.iter().filter_map(|event| match &event.change {
        Some(Change::JobCreated(created)) => created.job.as_ref(),
        Some(Change::JobEnded(ended)) => ended.job.as_ref(),
        _ => None,
    });
    let names = jobs.map(|job| job.secret_variable_names.join(","));
    assert_eq!(names.collect::<Vec<_>>(), ["OTHER", "OTHER"]);
    for event in events {
        assert_clean(&event.encode_to_vec());
    }
    assert_clean(&service.get(&job.id).await.encode_to_vec());
    assert_clean(&retry(&service, &job).await.encode_to_vec());
    let jobs = service
        .jobs()
        .list_jobs(v1::ListJobsRequest::default())
        .await;
    assert_clean(&jobs.unwrap().into_inner().encode_to_vec());
}

/// A client that has read a pipeline has not read its secrets, so writing it back
/// does not remove them.
#[tokio::test]
async fn an_update_merges_secrets_whatever_its_mask() {
    let service = Service::without_runner().await;
    let both = v1::Pipeline {
        secret_variables: map(&[("A", "value-a"), ("B", "value-b"), ("NONE", "")]),
        ..pipeline("p", [stage("s", "true")])
    };
    let created = service.create(both).await;
    assert_eq!(created.secret_variable_names, ["A", "B"]);
    let with = |secrets: &[(&str, &str)]| v1::Pipeline {
        secret_variables: map(secrets),
        etag: String::new(),
        ..created.clone()
    };
    let names = async |secrets: &[(&str, &str)], paths: &[&str]| {
        let updated = update(&service, with(secrets), paths).await.unwrap();
        (updated.revision, updated.secret_variable_names.join(","))
    };
    for paths in [&[][..], &["*"], &["secret_variables"], &["name"]] {
        assert_eq!(names(&[], paths).await, (1, "A,B".to_owned()), "{paths:?}");
    }
    // Fields outside the mask are ignored.
    assert_eq!(names(&[("1", "x")], &["name"]).await.0, 1);
    assert_eq!(names(&[("A", "value-a")], &[]).await.0, 1, "no change");
    assert_eq!(names(&[("A", "new")], &[]).await, (2, "A,B".to_owned()));
    assert_eq!(
        names(&[("C", "value-c")], &["*"]).await,
        (3, "A,B,C".to_owned())
    );
    let removed = names(&[("B", ""), ("D", "")], &["secret_variables"]);
    assert_eq!(removed.await, (4, "A,C".to_owned()));
    let output_only = update(&service, with(&[]), &["secret_variable_names"]).await;
    assert_eq!(refusal(output_only).2, ["update_mask.paths[0]"]);

    // A name moves from one kind to the other in one step.
    let plain = v1::Pipeline {
        variables: map(&[("A", "plain")]),
        ..with(&[])
    };
    let refused = refusal(update(&service, plain.clone(), &[]).await);
    assert_eq!(refused.2, ["pipeline.secret_variables[\"A\"]"]);
    let moved = v1::Pipeline {
        secret_variables: map(&[("A", "")]),
        ..plain
    };
    let moved = update(&service, moved, &[]).await.unwrap();
    assert_eq!(moved.secret_variable_names, ["C"]);
    assert_eq!(moved.variables, map(&[("A", "plain")]));
}

#[tokio::test]
async fn a_refusal_names_the_variable_and_quotes_nothing() {
    let service = Service::without_runner().await;
    let created = service.create(pipeline("p", [stage("s", "true")])).await;
    let nul = format!("{TOKEN}\0");
    let long = TOKEN.repeat(2_000);
    let cases: [(&str, &str); 5] = [
        ("1A", TOKEN),
        ("PIPEWRIGHT_JOB_ID", TOKEN),
        ("PLAIN", TOKEN),
        ("NUL", &nul),
        ("LONG", &long),
    ];
    for (name, value) in cases {
        let field = format!("secret_variables[\"{name}\"]");
        let bad = v1::Pipeline {
            variables: map(&[("PLAIN", "x")]),
            secret_variables: map(&[(name, value)]),
            ..pipeline("q", [stage("s", "true")])
        };
        let status = create(&service, bad).await.unwrap_err();
        assert_clean(status.message().as_bytes());
        assert_clean(status.details());
        let refused = refusal::<()>(Err(status));
        assert_eq!(
            (refused.0, refused.2),
            (Code::InvalidArgument, vec![format!("pipeline.{field}")])
        );

        let bad = v1::TriggerPipelineRequest {
            pipeline_id: created.id.clone(),
            variables: map(&[("PLAIN", "x")]),
            secret_variables: map(&[(name, value)]),
            ..Default::default()
        };
        let status = trigger(&service, bad).await.unwrap_err();
        assert_clean(status.message().as_bytes());
        assert_clean(status.details());
        assert_eq!(refusal::<()>(Err(status)).2, [field]);
    }
}

#[tokio::test]
async fn limits_of_secrets_are_reported() {
    let service = Service::without_runner().await;
    let created = service.create(pipeline("p", [stage("s", "true")])).await;
    let many: Vec<String> = (0..257).map(|number| format!("A{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "x")).collect();
    let large = "x".repeat(32 * 1024);
    let large = [("A", &*large), ("B", &*large)];
    for secrets in [&many[..], &large] {
        let bad = v1::Pipeline {
            secret_variables: map(secrets),
            ..pipeline("q", [stage("s", "true")])
        };
        let refused = refusal(create(&service, bad).await);
        assert_eq!(refused.2, ["pipeline.secret_variables"]);
    }
    // In a trigger, together with the variables that are not secret.
    let together = v1::TriggerPipelineRequest {
        variables: map(&large[..1]),
        secret_variables: map(&large[1..]),
        ..trigger_request(&created)
    };
    assert_eq!(refusal(trigger(&service, together).await).2, ["variables"]);
}

#[tokio::test]
async fn a_request_with_another_secret_is_another_request() {
    let service = Service::without_runner().await;
    let created = service.create(pipeline("p", [stage("s", "true")])).await;
    let first = v1::TriggerPipelineRequest {
        request_id: Uuid::new_v4().to_string(),
        ..trigger_request(&created)
    };
    let job = trigger(&service, first.clone()).await.unwrap();
    assert_eq!(trigger(&service, first.clone()).await.unwrap(), job);
    let other = v1::TriggerPipelineRequest {
        secret_variables: map(&[("OTHER", TOKEN)]),
        ..first
    };
    let refused = refusal(trigger(&service, other).await);
    assert_eq!(refused.1, "REQUEST_ID_REUSED");
}
