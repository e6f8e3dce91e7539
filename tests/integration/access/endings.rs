//! Calls and stored responses whose credentials are revoked.

use futures_util::stream;
use pipewright::proto::v1;
use tonic::Code;
use tonic_reflection::pb::v1::ServerReflectionRequest;

use super::{service, targets::target, why};
use crate::{
    known::{self, As},
    raw_runner::registration,
};

#[tokio::test]
async fn a_stored_response_is_only_for_callers_still_authorized() {
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
    // The service rereads the file itself, about once a second.
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
async fn open_calls_end_when_their_credentials_are_revoked() {
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
    // The call waits, as the only job's stage needs nothing that this runner has.
    let work = pipewright::proto::runner_v1::AcquireLeaseRequest {
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
    let next = pipewright::proto::runner_v1::AcquireLeaseRequest {
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
