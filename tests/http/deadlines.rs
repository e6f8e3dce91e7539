//! Time limits of calls and streams.

use std::time::Duration;

use pipewright::proto::runner_v1::{self, lease_service_client::LeaseServiceClient};
use prost::Message;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    raw::{body, call, framed},
    world::{World, end, refusal, waiting_job, watch, watch_request},
};

const WATCH: &str = "/pipewright.v1.JobService/WatchJob";
const ACQUIRE: &str = "/pipewright.runner.v1.LeaseService/AcquireLease";

#[track_caller]
fn reason(status: Status) -> (Code, String) {
    let (code, reason, _) = refusal::<()>(Err(status));
    (code, reason)
}

fn exceeded() -> (Code, String) {
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned())
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let world = World::start().await;
    let job = waiting_job(&world.channel()).await;
    let request = body(framed(&watch_request(&job)));
    let (data, status) = call(world.address, WATCH, &[("grpc-timeout", "1S")], request).await;
    assert!(!data.is_empty(), "it began");
    assert_eq!(reason(status), exceeded());
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let world = World::start().await;
    let mut leases = LeaseServiceClient::new(world.channel());
    let session_id = Uuid::new_v4().to_string();
    let register = runner_v1::RegisterRunnerRequest {
        display_name: "raw".to_owned(),
        capacity: 1,
        version: "0".to_owned(),
        session_id: session_id.clone(),
        ..Default::default()
    };
    let registered = leases.register_runner(register).await.unwrap().into_inner();
    let acquire = runner_v1::AcquireLeaseRequest {
        runner_id: registered.runner_id,
        session_id,
        request_id: Uuid::new_v4().to_string(),
        max_wait: Some(Duration::from_secs(50).try_into().unwrap()),
        ..Default::default()
    };
    let request = body(framed(&acquire));
    let (data, status) = call(world.address, ACQUIRE, &[("grpc-timeout", "1S")], request).await;
    assert!(data.is_empty());
    assert_eq!(reason(status), exceeded());
}

#[tokio::test]
async fn an_invalid_deadline_is_refused() {
    let world = World::start().await;
    let job = waiting_job(&world.channel()).await;
    for wrong in ["soon", "5", "123456789S", "-1S"] {
        let request = body(framed(&watch_request(&job)));
        let (_, status) = call(world.address, WATCH, &[("grpc-timeout", wrong)], request).await;
        let expected = (Code::InvalidArgument, "TIMEOUT_MALFORMED".to_owned());
        assert_eq!(reason(status), expected);
    }
}

#[tokio::test]
async fn a_stream_ends_at_its_maximum_age() {
    let age = Duration::from_secs(1);
    let world = World::limited(|limits| limits.max_stream_age = Some(age)).await;
    let channel = world.channel();
    let job = waiting_job(&channel).await;
    let ended = end(watch(&channel, &job).await).await.unwrap_err();
    assert!(ended.message().contains("max_stream_age"));
    assert_eq!(reason(ended), (Code::Unavailable, "STREAM_AGED".to_owned()));
    // The data that was sent before is complete.
    let request = body(framed(&watch_request(&job)));
    let (data, _) = call(world.address, WATCH, &[], request).await;
    let length = u32::from_be_bytes(data[1..5].try_into().unwrap()) as usize;
    pipewright::proto::v1::WatchJobResponse::decode(&data[5..5 + length]).unwrap();
}
