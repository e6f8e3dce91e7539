//! Who may do what: every method of the API, with each role, and in whose project.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream;
use pipewright::{config::Access, wire::v1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    known::{self, As},
    raw_runner::registration,
    service::{Service, refusal, stage},
};

const ROLES: [&str; 5] = ["viewer", "developer", "deployer", "admin", "runner"];

/// A service that knows one caller a role in the project `shop`, named after it, one a
/// role in all projects, named `all-` and the role, and a `stranger` of another project.
async fn service() -> Service {
    let mut known = vec![("stranger".to_owned(), "bank", "admin")];
    for role in ROLES {
        let is_runner = role == "runner";
        known.push((role.to_owned(), if is_runner { "*" } else { "shop" }, role));
        known.push((format!("all-{role}"), "*", role));
    }
    let known: Vec<_> = known.iter().map(|(n, p, r)| (n.as_str(), *p, *r)).collect();
    Service::with(|config| {
        config.runner = None;
        let path = config
            .log_dir
            .as_ref()
            .unwrap()
            .with_file_name("credentials.toml");
        known::write(&path, &known);
        config.access = Access::File(path);
    })
    .await
}

/// What each method needs, written down once more: role, and whether in all projects.
const NEEDED: [(&str, &str, bool); 21] = [
    ("PipelineService/CreatePipeline", "admin", false),
    ("PipelineService/GetPipeline", "viewer", false),
    ("PipelineService/ListPipelines", "viewer", false),
    ("PipelineService/UpdatePipeline", "admin", false),
    ("PipelineService/DeletePipeline", "admin", false),
    ("PipelineService/TriggerPipeline", "developer", false),
    ("JobService/GetJob", "viewer", false),
    ("JobService/ListJobs", "viewer", false),
    ("JobService/WatchJob", "viewer", false),
    ("JobService/ReadStageLog", "viewer", false),
    ("JobService/CancelJob", "developer", false),
    ("JobService/RetryJob", "developer", false),
    ("RunnerService/GetRunner", "viewer", true),
    ("RunnerService/ListRunners", "viewer", true),
    ("RunnerService/DrainRunner", "admin", true),
    ("RunnerService/ResumeRunner", "admin", true),
    ("LeaseService/RegisterRunner", "runner", true),
    ("LeaseService/AcquireLease", "runner", true),
    ("LeaseService/RenewLease", "runner", true),
    ("LeaseService/AppendLog", "runner", true),
    ("LeaseService/CompleteLease", "runner", true),
];

/// The code and the reason of a refusal.
#[track_caller]
fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let (code, reason, _) = refusal(answer);
    (code, reason)
}

/// Whether a role may do what needs another.
fn includes(held: &str, needed: &str) -> bool {
    let rank = |role| ROLES.iter().position(|other| *other == role);
    match held == "runner" || needed == "runner" {
        true => held == needed,
        false => rank(held) >= rank(needed),
    }
}

#[tokio::test]
async fn every_method_that_reflection_lists_is_for_whom_it_should_be() {
    let service = service().await;
    let needed: BTreeMap<_, _> = NEEDED
        .iter()
        .map(|(m, role, all)| (*m, (*role, *all)))
        .collect();
    let methods = reflected(&As::new(&service, "viewer")).await;
    let listed: BTreeSet<&str> = methods.iter().map(|path| short(path)).collect();
    assert_eq!(
        listed,
        needed.keys().copied().collect(),
        "methods and this test differ"
    );
    for path in &methods {
        let (role, everywhere) = needed[short(path)];
        let nobody = call(&As::nobody(&service), path).await;
        assert_eq!(
            why(nobody),
            (Code::Unauthenticated, "UNAUTHENTICATED".into()),
            "{path}"
        );
        let wrong = As::showing(&service, Some("Bearer pw_1_wrong".parse().unwrap()));
        let wrong = why(call(&wrong, path).await);
        assert_eq!(
            wrong,
            (Code::Unauthenticated, "UNAUTHENTICATED".into()),
            "{path}"
        );
        for held in ROLES {
            let of_one = call(&As::new(&service, held), path).await;
            let of_all = call(&As::new(&service, &format!("all-{held}")), path).await;
            // Roles in a project are asked for once it is known which project it is.
            let may = match everywhere {
                true => includes(held, role),
                false => held != "runner",
            };
            let one_may = may && (!everywhere || held == "runner");
            assert_eq!(
                is_let_in(&of_one),
                one_may,
                "{held} in one project, {path}: {of_one:?}"
            );
            assert_eq!(is_let_in(&of_all), may, "{held} in all, {path}: {of_all:?}");
        }
    }
}

fn is_let_in(answer: &Result<(), Status>) -> bool {
    let refused = |status: &Status| status.code() == Code::PermissionDenied;
    !answer.as_ref().is_err_and(refused)
}

/// `/package.Service/Method` without the package.
fn short(path: &str) -> &str {
    path.rsplit_once('.').unwrap().1
}

/// Calls a method, whichever it is, with an empty message.
async fn call(caller: &As, path: &str) -> Result<(), Status> {
    let mut client = Grpc::new(caller.channel.clone());
    client.ready().await.unwrap();
    let path: PathAndQuery = path.parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    // A stream of at most one message will do for a method of either kind.
    let answer = client
        .server_streaming(tonic::Request::new(()), path, codec)
        .await?;
    answer.into_inner().message().await.map(drop)
}

/// The methods of Pipewright's own services.
async fn reflected(caller: &As) -> Vec<String> {
    let services = ask(caller, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(services) = services else {
        panic!("no list of services: {services:?}");
    };
    let mut methods = Vec::new();
    for service in services.service {
        if !service.name.starts_with("pipewright.") {
            continue;
        }
        let file = MessageRequest::FileContainingSymbol(service.name.clone());
        let MessageResponse::FileDescriptorResponse(files) = ask(caller, file).await else {
            panic!("no file of {}", service.name);
        };
        for bytes in files.file_descriptor_proto {
            let file: prost_types::FileDescriptorProto = prost::Message::decode(&*bytes).unwrap();
            for found in &file.service {
                let name = format!("{}.{}", file.package(), found.name());
                if name == service.name {
                    methods.extend(found.method.iter().map(|m| format!("/{name}/{}", m.name())));
                }
            }
        }
    }
    methods
}

async fn ask(caller: &As, request: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(caller.channel.clone());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    answer.message_response.unwrap()
}

/// What a call of a method concerns.
#[derive(Clone)]
struct Target {
    project: String,
    pipeline_id: String,
    job_id: String,
}

/// Calls a method of a project about a target.
async fn about(caller: &As, method: &str, target: &Target) -> Result<(), Status> {
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
const ABOUT: [(&str, &str); 10] = [
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

fn deploying(name: &str, deploys: bool) -> v1::Pipeline {
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
async fn target(service: &Service, name: &str, deploys: bool) -> Target {
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

#[tokio::test]
async fn a_role_counts_in_its_project() {
    let service = service().await;
    for held in ROLES {
        let target = target(&service, held, false).await;
        for (method, needed) in ABOUT {
            let answer = about(&As::new(&service, held), method, &target).await;
            match includes(held, needed) {
                true => assert!(answer.is_ok(), "{held}, {method}: {answer:?}"),
                false => assert_eq!(
                    why(answer),
                    (Code::PermissionDenied, "ROLE_REQUIRED".into()),
                    "{held}, {method}"
                ),
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_project_is_as_absent_as_one_that_is_not_there() {
    let service = service().await;
    let foreign = target(&service, "one", false).await;
    let absent = Target {
        project: "none".to_owned(),
        pipeline_id: uuid::Uuid::now_v7().to_string(),
        job_id: uuid::Uuid::now_v7().to_string(),
    };
    let stranger = As::new(&service, "stranger");
    for (method, _) in ABOUT {
        let of_foreign = about(&stranger, method, &foreign).await.unwrap_err();
        let of_absent = about(&stranger, method, &absent).await.unwrap_err();
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
async fn to_deploy_takes_a_deployer() {
    let service = service().await;
    let target = target(&service, "live", true).await;
    let cancel = about(&As::new(&service, "developer"), "CancelJob", &target).await;
    cancel.unwrap();
    for method in ["TriggerPipeline", "RetryJob"] {
        let refused = about(&As::new(&service, "developer"), method, &target).await;
        assert_eq!(
            why(refused),
            (Code::PermissionDenied, "ROLE_REQUIRED".into())
        );
        about(&As::new(&service, "deployer"), method, &target)
            .await
            .unwrap();
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
    let again = || pipewright::wire::runner_v1::RegisterRunnerRequest {
        runner_id: first.clone(),
        ..registration()
    };
    let foreign = other.leases().register_runner(again()).await.unwrap();
    assert_ne!(foreign.into_inner().runner_id, first);
    let own = one.leases().register_runner(again()).await.unwrap();
    assert_eq!(own.into_inner().runner_id, first);
}

#[tokio::test]
async fn an_answer_that_is_kept_is_for_those_who_may_still_have_it() {
    let service = service().await;
    let target = target(&service, "one", false).await;
    let trigger = || v1::TriggerPipelineRequest {
        pipeline_id: target.pipeline_id.clone(),
        request_id: "6c2f0f7a-3f5e-4d6b-9a6e-0d8f3c1b2a49".to_owned(),
        ..Default::default()
    };
    let developer = As::new(&service, "developer");
    let first = developer
        .pipelines()
        .trigger_pipeline(trigger())
        .await
        .unwrap();
    let again = developer
        .pipelines()
        .trigger_pipeline(trigger())
        .await
        .unwrap();
    assert_eq!(first.into_inner(), again.into_inner());
    known::write(
        &service.path("credentials.toml"),
        &[("developer", "bank", "admin")],
    );
    // The service reads the file again by itself, about once a second.
    let refused = loop {
        match developer.pipelines().trigger_pipeline(trigger()).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(status) => break status,
        }
    };
    assert_eq!(
        why(Err::<(), _>(refused)),
        (Code::NotFound, "JOB_NOT_FOUND".into())
    );
}

#[tokio::test]
async fn what_is_open_ends_when_its_credentials_are_taken_away() {
    let service = service().await;
    let target = target(&service, "one", false).await;
    let request = v1::WatchJobRequest {
        job_id: target.job_id,
        ..Default::default()
    };
    let mut watch = As::new(&service, "viewer")
        .jobs()
        .watch_job(request)
        .await
        .unwrap()
        .into_inner();
    assert!(watch.message().await.unwrap().is_some(), "a snapshot");
    let asked = stream::pending::<ServerReflectionRequest>();
    let mut reflected = As::new(&service, "viewer")
        .reflection()
        .server_reflection_info(asked)
        .await
        .unwrap()
        .into_inner();
    let runner = As::new(&service, "runner");
    let session = registration();
    let registered = runner
        .leases()
        .register_runner(session.clone())
        .await
        .unwrap();
    // Held, as the only job's stage asks for nothing that this runner has.
    let work = pipewright::wire::runner_v1::AcquireLeaseRequest {
        runner_id: registered.into_inner().runner_id,
        session_id: session.session_id,
        request_id: uuid::Uuid::new_v4().to_string(),
        max_wait: Some(prost_types::Duration {
            seconds: 50,
            nanos: 0,
        }),
        ..Default::default()
    };
    let first = runner.leases().acquire_lease(work.clone()).await.unwrap();
    assert!(first.into_inner().lease.is_some());
    let next = pipewright::wire::runner_v1::AcquireLeaseRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        ..work
    };
    let held = tokio::spawn(async move { runner.leases().acquire_lease(next).await });
    known::write(
        &service.path("credentials.toml"),
        &[("all-admin", "*", "admin")],
    );
    let ended = loop {
        match watch.message().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(
        why(ended),
        (Code::Unauthenticated, "CREDENTIALS_ENDED".into())
    );
    assert_eq!(
        why(reflected.message().await),
        (Code::Unauthenticated, "CREDENTIALS_ENDED".into())
    );
    assert_eq!(
        why(held.await.unwrap()),
        (Code::Unauthenticated, "CREDENTIALS_ENDED".into())
    );
}

#[tokio::test]
async fn the_numbers_are_for_those_who_see_all_projects() {
    let service = service().await;
    for (name, expected) in [
        ("", "401 Unauthorized"),
        ("nobody", "401 Unauthorized"),
        ("admin", "403 Forbidden"),
        ("runner", "403 Forbidden"),
        ("all-viewer", "200 OK"),
    ] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let authorization = match name {
            "" => String::new(),
            name => format!("authorization: Bearer {}\r\n", known::token(name)),
        };
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{name}: {answer}"
        );
        assert_eq!(
            answer.contains("pipewright_build_info"),
            name == "all-viewer"
        );
        assert_eq!(
            answer.contains("www-authenticate"),
            expected.starts_with("401")
        );
    }
}
