//! The limits of one caller: bytes of a message, open calls, calls in a second.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use pipewright::proto::v1::{self, pipeline_service_client::PipelineServiceClient};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::{
    raw::{body, call},
    world::{World, list, refusal, waiting_job, watch},
};

const CREATE: &str = "/pipewright.v1.PipelineService/CreatePipeline";
const MIB: u64 = 1024 * 1024;

fn exhausted(reason: &str, setting: &str) -> (Code, String, String) {
    (
        Code::ResourceExhausted,
        reason.to_owned(),
        setting.to_owned(),
    )
}

#[tokio::test]
async fn a_message_is_refused_by_its_declared_length() {
    let world = World::limited(|limits| limits.max_message = 1_000).await;
    // Nothing follows the prefix, so nothing else can be the reason.
    let prefix = Frame::data(Bytes::from_static(&[0, 0, 0, 0x03, 0xe9]));
    let sent = stream::once(async { Ok(prefix) }).chain(stream::pending());
    let (_, status) = call(
        world.address,
        CREATE,
        &[],
        StreamBody::new(sent).boxed_unsync(),
    )
    .await;
    assert!(status.message().contains("1001 bytes"), "{status:?}");
    let refused = refusal::<()>(Err(status));
    assert_eq!(refused, exhausted("MESSAGE_TOO_LARGE", "max_message"));
    let fits = [&[0, 0, 0, 0x03, 0xe8][..], &[0xff; 1_000]].concat();
    let (_, status) = call(world.address, CREATE, &[], body(fits)).await;
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn only_the_setting_limits_messages() {
    let world = World::limited(|limits| limits.max_message = 8 * MIB).await;
    let mut pipelines = PipelineServiceClient::new(world.channel());
    let request = v1::CreatePipelineRequest {
        request_id: "x".repeat(6 * MIB as usize),
        ..Default::default()
    };
    let refused = pipelines.create_pipeline(request).await.unwrap_err();
    assert!(!refused.message().contains("4194304"), "{refused:?}");
}

#[tokio::test]
async fn the_open_calls_of_a_principal_are_limited() {
    let world = World::limited(|limits| limits.max_streams_per_principal = 1).await;
    let channel = world.channel();
    let job = waiting_job(&channel).await;
    let stream = watch(&channel, &job).await;
    for _ in 0..2 {
        let refused = refusal(list(&channel).await);
        assert_eq!(
            refused,
            exhausted("TOO_MANY_STREAMS", "max_streams_per_principal")
        );
    }
    drop(stream);
    while list(&channel).await.is_err() {
        tokio::task::yield_now().await;
    }
    // A finished call frees its slot before its client sees the end.
    for _ in 0..100 {
        list(&channel).await.unwrap();
    }
}

#[tokio::test]
async fn the_call_rate_of_a_principal_is_limited() {
    let world = World::limited(|limits| limits.max_requests_per_second = Some(1)).await;
    let channel = world.channel();
    list(&channel).await.unwrap();
    let refused = loop {
        if let Err(refused) = list(&channel).await {
            break refused;
        }
    };
    let retry = refused
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!(
        retry > Duration::ZERO && retry <= Duration::from_secs(1),
        "{retry:?}"
    );
    let refused = refusal::<()>(Err(refused));
    assert_eq!(
        refused,
        exhausted("TOO_MANY_REQUESTS", "max_requests_per_second")
    );
    tokio::time::sleep(retry).await;
    list(&channel).await.unwrap();
}

#[tokio::test]
async fn the_open_calls_of_an_anonymous_address_are_limited() {
    let world = World::limited(|limits| limits.max_streams_per_principal = 1).await;
    let mut health = HealthClient::new(world.channel());
    let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
    let check = HealthCheckRequest::default();
    let refused = health.check(check.clone()).await;
    assert_eq!(
        refusal(refused),
        exhausted("TOO_MANY_STREAMS", "max_streams_per_principal")
    );
    // The limit does not apply to authenticated callers.
    list(&world.channel()).await.unwrap();
    drop(watched);
    while health.check(check.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
}
