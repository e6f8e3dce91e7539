//! Start, retention and stop of the service.

use std::time::Duration;

use pipewright::{
    config::Access,
    proto::v1::{self, job::State},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1 as reflection_v1, v1alpha as reflection_v1alpha};

use crate::{
    processes::living,
    service::{Service, open, pipeline, refusal, stage},
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Waits until a job has been removed.
async fn until_gone(service: &Service, job_id: &str) {
    let request = || v1::GetJobRequest {
        job_id: job_id.to_owned(),
    };
    while service.jobs().get_job(request()).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_oldest_ended_jobs_go_with_their_logs() {
    let service = Service::with(|config| config.retain_jobs = 2).await;
    let created = service
        .create(pipeline("p", [stage("s", "echo hello")]))
        .await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        let job = service.trigger(&created).await;
        jobs.push(service.ended(&job.id).await);
    }
    // Too recent to be removed, however many there are.
    for job in &jobs {
        service.get(&job.id).await;
    }
    service.clock.advance(HOUR + Duration::from_secs(1));
    let job = service.trigger(&created).await;
    service.ended(&job.id).await;
    for job in &jobs[..3] {
        until_gone(&service, &job.id).await;
        let request = v1::WatchJobRequest {
            job_id: job.id.clone(),
            ..Default::default()
        };
        let watch = service.jobs().watch_job(request).await.map(|_| ());
        assert_eq!(
            refusal(watch),
            (Code::NotFound, "JOB_NOT_FOUND".into(), vec![])
        );
        let request = v1::ReadStageLogRequest {
            job_id: job.id.clone(),
            stage_name: "s".into(),
            ..Default::default()
        };
        let log = service.jobs().read_stage_log(request).await.map(|_| ());
        assert_eq!(refusal(log).1, "JOB_NOT_FOUND");
    }
    assert_eq!(service.get(&jobs[3].id).await.state(), State::Succeeded);
    assert_eq!(service.log(&jobs[3].id, "s").await, b"hello\n");
    let listed = service
        .jobs()
        .list_jobs(v1::ListJobsRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.into_inner().jobs.len(), 2);
    // The directory is removed after the job.
    while service.log_directories().len() > 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_open_reader_keeps_its_job() {
    let service = Service::with(|config| config.retain_jobs = 0).await;
    let created = service
        .create(pipeline("p", [stage("s", "seq 1000000")]))
        .await;
    let first = service.trigger(&created).await;
    service.ended(&first.id).await;
    // More than fits into the stream's window: the stream stays open until it is read.
    let request = v1::ReadStageLogRequest {
        job_id: first.id.clone(),
        stage_name: "s".into(),
        ..Default::default()
    };
    let mut reader = service
        .jobs()
        .read_stage_log(request)
        .await
        .unwrap()
        .into_inner();
    service.clock.advance(HOUR * 2);
    let second = service.trigger(&created).await;
    service.ended(&second.id).await;
    service.get(&first.id).await;

    let mut size = 0;
    while let Some(message) = reader.message().await.unwrap() {
        size = message.next_offset;
    }
    assert_eq!(size, 6_888_896);
    // The second one is too recent; the first is removed as soon as it has no reader.
    until_gone(&service, &first.id).await;
    service.get(&second.id).await;
}

#[tokio::test]
async fn a_carried_log_that_expired_is_a_gap() {
    let service = Service::with(|config| config.retain_jobs = 1).await;
    let created = service
        .create(pipeline(
            "p",
            [stage("good", "echo hello"), stage("bad", "false")],
        ))
        .await;
    let first = service.trigger(&created).await;
    service.ended(&first.id).await;
    service.clock.advance(HOUR * 2);
    let retry = v1::RetryJobRequest {
        job_id: first.id.clone(),
        scope: v1::retry_job_request::Scope::FailedStages.into(),
        ..Default::default()
    };
    let second = service
        .jobs()
        .retry_job(retry)
        .await
        .unwrap()
        .into_inner()
        .job
        .unwrap();
    service.ended(&second.id).await;
    until_gone(&service, &first.id).await;

    let request = v1::ReadStageLogRequest {
        job_id: second.id.clone(),
        stage_name: "good".into(),
        ..Default::default()
    };
    // The directory is removed after the job.
    while service.log_directories().len() > 1 {
        tokio::task::yield_now().await;
    }
    let mut stream = service
        .jobs()
        .read_stage_log(request)
        .await
        .unwrap()
        .into_inner();
    let message = stream.message().await.unwrap().unwrap();
    let Some(v1::read_stage_log_response::Payload::Gap(gap)) = message.payload else {
        panic!("{message:?} is no gap");
    };
    assert_eq!((gap.start_offset, gap.end_offset), (0, 6));
    assert_eq!(gap.reason(), v1::log_gap::Reason::Expired);
    let message = stream.message().await.unwrap().unwrap();
    assert!(matches!(
        message.payload,
        Some(v1::read_stage_log_response::Payload::End(_))
    ));
}

#[tokio::test]
async fn a_stop_refuses_new_jobs_and_ends_the_running_ones() {
    let mut service = Service::start().await;
    let ready = service.path("ready");
    // The command handles TERM, and ends once the test has seen that new jobs are
    // refused.
    let gate = service.gate("gate");

    let command = format!(
        "trap 'cat {gate}; exit 0' TERM; touch {ready}; sleep 1000 & wait",
        ready = ready.display(),
        gate = gate.display(),
    );
    let created = service.create(pipeline("p", [stage("s", &command)])).await;
    let job = service.trigger(&created).await;
    while !ready.exists() {
        tokio::task::yield_now().await;
    }
    service.begin_stop();
    service
        .until(&job.id, |event| match &event.change {
            Some(v1::job_event::Change::JobChanged(changed)) => {
                changed.job.as_ref().unwrap().state() == State::Cancelling
            }
            _ => false,
        })
        .await;
    let request = v1::TriggerPipelineRequest {
        pipeline_id: created.id.clone(),
        ..Default::default()
    };
    let refused = refusal(service.pipelines().trigger_pipeline(request).await);
    assert_eq!(
        refused,
        (Code::Unavailable, "SERVER_STOPPING".into(), vec![])
    );
    let mut health = HealthClient::new(service.channel.clone());
    let status = health
        .check(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(status.status(), ServingStatus::NotServing);
    let mut probe = TcpStream::connect(service.address).await.unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    probe.write_all(request).await.unwrap();
    let mut answer = String::new();
    probe.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");

    open(&gate, "").await;
    service.stopped().await.unwrap();
    assert_eq!(living(&job.id), []);
}

#[tokio::test]
async fn health_and_reflection_know_the_services() {
    let service = Service::start().await;
    let names = ["pipewright.v1.PipelineService", "pipewright.v1.JobService"];
    let mut health = HealthClient::new(service.channel.clone());
    for name in ["", names[0], names[1]] {
        let request = HealthCheckRequest {
            service: name.to_owned(),
        };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving);
    }

    let request = reflection_v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            reflection_v1::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut client = reflection_v1::server_reflection_client::ServerReflectionClient::new(
        service.channel.clone(),
    );
    let stream = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = stream.into_inner().message().await.unwrap().unwrap();
    use reflection_v1::server_reflection_response::MessageResponse;
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?} lists no services");
    };
    let listed: Vec<_> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert!(names.iter().all(|name| listed.contains(name)), "{listed:?}");

    let request = reflection_v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            reflection_v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                names[0].to_owned(),
            ),
        ),
    };
    let mut client = reflection_v1alpha::server_reflection_client::ServerReflectionClient::new(
        service.channel.clone(),
    );
    let stream = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = stream.into_inner().message().await.unwrap().unwrap();
    use reflection_v1alpha::server_reflection_response::MessageResponse as Alpha;
    assert!(matches!(
        answer.message_response,
        Some(Alpha::FileDescriptorResponse(_))
    ));
}

#[tokio::test]
async fn a_token_is_required_if_configured() {
    let service = Service::with(|config| config.access = Access::Token("open sesame".into())).await;
    let list = |token: Option<&str>| {
        let mut request = Request::new(v1::ListPipelinesRequest::default());
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    };
    for wrong in [None, Some("open"), Some("open sesame!")] {
        let refused = refusal(service.pipelines().list_pipelines(list(wrong)).await);
        assert_eq!(
            refused,
            (Code::Unauthenticated, "UNAUTHENTICATED".into(), vec![])
        );
    }
    service
        .pipelines()
        .list_pipelines(list(Some("open sesame")))
        .await
        .unwrap();

    let mut health = HealthClient::new(service.channel.clone());
    health.check(HealthCheckRequest::default()).await.unwrap();
    let mut client = reflection_v1::server_reflection_client::ServerReflectionClient::new(
        service.channel.clone(),
    );
    let request = tokio_stream::empty::<reflection_v1::ServerReflectionRequest>();
    let refused = refusal(client.server_reflection_info(request).await.map(|_| ()));
    assert_eq!(refused.0, Code::Unauthenticated);
}

/// Errors from tonic itself have as many details as those of the services.
#[tokio::test]
async fn refusals_from_below_the_services_have_a_reason_too() {
    let service = Service::start().await;
    let call = async |path: &'static str, message: v1::CreatePipelineRequest| {
        let mut client = tonic::client::Grpc::new(service.channel.clone());
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<_, v1::CreatePipelineResponse>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        refusal(client.unary(Request::new(message), path, codec).await)
    };
    let unknown = call(
        "/pipewright.v1.PipelineService/Nonsense",
        Default::default(),
    )
    .await;
    assert_eq!(
        unknown,
        (Code::Unimplemented, "METHOD_UNKNOWN".into(), vec![])
    );

    let huge = v1::CreatePipelineRequest {
        request_id: "x".repeat(5 * 1024 * 1024),
        ..Default::default()
    };
    let create = "/pipewright.v1.PipelineService/CreatePipeline";
    let huge = call(create, huge).await;
    assert_eq!(
        huge,
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".into(), vec![])
    );

    // A create has a message in field 1, where a cancel has a string; the largest
    // number in it is not valid UTF-8.
    let pipeline = v1::CreatePipelineRequest {
        pipeline: Some(v1::Pipeline {
            revision: i64::MAX,
            ..Default::default()
        }),
        ..Default::default()
    };
    let malformed = call("/pipewright.v1.JobService/CancelJob", pipeline).await;
    assert_eq!(
        malformed,
        (Code::InvalidArgument, "MESSAGE_MALFORMED".into(), vec![])
    );
}
