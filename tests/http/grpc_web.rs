//! gRPC-Web, byte by byte.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Request, Version};
use pipewright::{
    config::Access,
    proto::v1::{self, watch_job_response::Payload},
};
use prost::Message;

use crate::{
    raw::{body, framed, read, send},
    world::{World, cancel, waiting_job, watch_request},
};

const TRAILERS: u8 = 0x80;
const LIST: &str = "/pipewright.v1.PipelineService/ListPipelines";

/// The response to a call with this body, as text.
async fn answered(world: &World, kind: &str, accept: Option<&str>, sent: Vec<u8>) -> String {
    let mut request = Request::post(format!("http://{}{LIST}", world.address))
        .version(Version::HTTP_11)
        .header("content-type", kind);
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let response = send(world.address, request.body(body(sent)).unwrap()).await;
    let (head, body, _) = read(response.unwrap()).await;
    let kind = head["content-type"].to_str().unwrap();
    let body = if kind.starts_with("application/grpc-web-text") {
        // Each piece has its own padding.
        body.chunks(4)
            .flat_map(|four| BASE64_STANDARD.decode(four).unwrap())
            .collect()
    } else {
        body
    };
    format!("{kind} {head:?} {}", String::from_utf8_lossy(&body))
}

#[tokio::test]
async fn text_may_come_in_several_padded_pieces() {
    let world = World::start().await;
    let request = v1::ListPipelinesRequest {
        page_size: 3,
        ..Default::default()
    };
    let framed = framed(&request);
    let whole = BASE64_STANDARD.encode(&framed);
    let pieces: String = framed
        .chunks(2)
        .map(|two| BASE64_STANDARD.encode(two))
        .collect();
    for text in [whole, pieces] {
        for kind in [
            "application/grpc-web-text",
            "Application/gRPC-Web-Text+Proto; a=b",
        ] {
            let answer = answered(&world, kind, None, text.clone().into_bytes()).await;
            assert!(answer.starts_with("application/grpc-web-text"), "{answer}");
            assert!(answer.contains("grpc-status:0"), "{answer}");
        }
        let accept = Some("application/grpc-web+proto");
        let sent = text.into_bytes();
        let answer = answered(&world, "application/grpc-web-text", accept, sent).await;
        assert!(answer.starts_with("application/grpc-web+proto"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_one_message_is_the_clients_error() {
    let world = World::start().await;
    let text = |bytes: &[u8]| BASE64_STANDARD.encode(bytes).into_bytes();
    for (kind, sent) in [
        ("application/grpc-web", Vec::new()),
        ("application/grpc-web", vec![0, 0, 0, 0, 9, 1]),
        ("application/grpc-web", vec![0; 10]),
        ("application/grpc-web", b"<html>".to_vec()),
        ("application/grpc-web-text", Vec::new()),
        ("application/grpc-web-text", text(&[0, 0, 0, 0, 9, 1])),
        ("application/grpc-web-text", text(&[0; 10])),
        ("application/grpc-web-text", b"AAAAAAA".to_vec()),
        ("application/grpc-web-text", b"AA*A".to_vec()),
    ] {
        let sent_text = String::from_utf8_lossy(&sent).into_owned();
        let answer = answered(&world, kind, None, sent).await;
        let status = ["grpc-status:3", "\"grpc-status\": \"3\""];
        let is_invalid = status.iter().any(|status| answer.contains(status));
        assert!(is_invalid, "{kind} {sent_text:?}: {answer}");
        assert!(answer.contains("grpc-status-details-bin"), "{answer}");
    }
}

/// The messages of a response, and its trailers as text.
async fn web(
    world: &World,
    version: Version,
    path: &str,
    message: &impl Message,
) -> (Vec<Vec<u8>>, String) {
    let uri = format!("http://{}{path}", world.address);
    let request = Request::post(uri)
        .version(version)
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .body(body(framed(message)))
        .unwrap();
    let response = send(world.address, request).await.unwrap();
    assert_eq!(response.status(), 200);
    let (head, body, _) = read(response).await;
    let kind = head["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/grpc-web"), "{kind}");
    let mut trailers: String = head
        .iter()
        .map(|(name, value)| format!("{name}:{}\r\n", value.to_str().unwrap()))
        .collect();
    let mut messages = Vec::new();
    let mut rest = &body[..];
    while let [flag, a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (frame, after) = after.split_at(length);
        match *flag {
            TRAILERS => trailers.push_str(std::str::from_utf8(frame).unwrap()),
            _ => messages.push(frame.to_vec()),
        }
        rest = after;
    }
    assert!(rest.is_empty());
    (messages, trailers)
}

#[tokio::test]
async fn a_browser_calls_over_either_version() {
    let world = World::start().await;
    let job = waiting_job(&world.channel()).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let path = "/pipewright.v1.JobService/GetJob";
        let request = |job_id: &str| v1::GetJobRequest {
            job_id: job_id.to_owned(),
        };
        let (messages, trailers) = web(&world, version, path, &request(&job.id)).await;
        let [message] = &messages[..] else {
            panic!("{messages:?}");
        };
        let answer = v1::GetJobResponse::decode(&message[..]).unwrap();
        assert_eq!(answer.job.unwrap().id, job.id);
        assert!(trailers.contains("grpc-status:0"), "{trailers}");

        let none = "01a1fe35-0f9d-71f0-ae03-b21035951842";
        let (messages, trailers) = web(&world, version, path, &request(none)).await;
        assert!(messages.is_empty());
        assert!(trailers.contains("grpc-status:5"), "{trailers}");
        assert!(trailers.contains("grpc-status-details-bin:"), "{trailers}");
    }
}

#[tokio::test]
async fn a_browser_watches_a_job_to_its_end() {
    let world = World::start().await;
    let channel = world.channel();
    let job = waiting_job(&channel).await;
    let path = "/pipewright.v1.JobService/WatchJob";
    let request = watch_request(&job);
    let watched = web(&world, Version::HTTP_11, path, &request);
    let ((messages, trailers), ()) = tokio::join!(watched, cancel(&channel, &job));
    let last = v1::WatchJobResponse::decode(&messages.last().unwrap()[..]).unwrap();
    let ended = match last.payload.unwrap() {
        Payload::Events(batch) => batch
            .events
            .last()
            .is_some_and(|event| matches!(event.change, Some(v1::job_event::Change::JobEnded(_)))),
        Payload::Snapshot(snapshot) => snapshot.job.unwrap().state() == v1::job::State::Cancelled,
        Payload::Heartbeat(_) => false,
    };
    assert!(ended);
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
}

#[tokio::test]
async fn refusals_of_the_middleware_reach_browsers_too() {
    let world = World::with(|config| config.access = Access::Token("t".into())).await;
    let path = "/pipewright.v1.PipelineService/ListPipelines";
    let request = v1::ListPipelinesRequest::default();
    let (messages, trailers) = web(&world, Version::HTTP_11, path, &request).await;
    assert!(messages.is_empty());
    assert!(trailers.contains("grpc-status:16"), "{trailers}");
}
