//! ReadStageLog.

use pipewright::proto::v1::{self, read_stage_log_response::Payload};
use tonic::{Code, Status};

use crate::service::{Service, open, pipeline, refusal, stage};

/// The content of a stream: bytes, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Read {
    bytes: Vec<u8>,
    end: Option<i64>,
    next_offset: i64,
    heartbeats: usize,
}

async fn read(service: &Service, request: v1::ReadStageLogRequest) -> Result<Read, Status> {
    let mut stream = service.jobs().read_stage_log(request).await?.into_inner();
    let mut read = Read::default();
    while let Some(message) = stream.message().await? {
        assert_eq!(message.attempt, 1);
        read.next_offset = message.next_offset;
        match message.payload.unwrap() {
            Payload::Chunk(chunk) => read.bytes.extend_from_slice(&chunk.data),
            Payload::End(end) => read.end = Some(end.size_bytes),
            Payload::Heartbeat(_) => read.heartbeats += 1,
            Payload::Gap(gap) => panic!("{gap:?}"),
        }
    }
    Ok(read)
}

fn of(job: &v1::Job) -> v1::ReadStageLogRequest {
    v1::ReadStageLogRequest {
        job_id: job.id.clone(),
        stage_name: "s".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_log_is_read_from_any_offset_to_any_limit() {
    let service = Service::start().await;
    let job = service
        .run(pipeline("p", [stage("s", "printf 0123456789")]))
        .await;
    assert_eq!(job.stage_runs[0].log_size_bytes, 10);
    for (offset, limit_bytes, bytes, end) in [
        (0, 0, "0123456789", Some(10)),
        (4, 0, "456789", Some(10)),
        (4, 3, "456", None),
        (-3, 0, "789", Some(10)),
        (-3, 1, "7", None),
        (-100, 0, "0123456789", Some(10)),
        (10, 0, "", Some(10)),
        // A limit at the end of a complete log also returns the end.
        (7, 3, "789", Some(10)),
    ] {
        let request = v1::ReadStageLogRequest {
            offset,
            limit_bytes,
            ..of(&job)
        };
        let read = read(&service, request).await.unwrap();
        assert_eq!(
            (read.bytes, read.end),
            (bytes.as_bytes().to_vec(), end),
            "{offset}"
        );
    }
    for (request, expected) in [
        (
            v1::ReadStageLogRequest {
                offset: 11,
                ..of(&job)
            },
            (Code::OutOfRange, "OFFSET_PAST_END", vec!["offset"]),
        ),
        (
            v1::ReadStageLogRequest {
                limit_bytes: -1,
                ..of(&job)
            },
            (Code::InvalidArgument, "INVALID_FIELDS", vec!["limit_bytes"]),
        ),
        (
            v1::ReadStageLogRequest {
                stage_name: String::new(),
                ..of(&job)
            },
            (Code::InvalidArgument, "INVALID_FIELDS", vec!["stage_name"]),
        ),
        (
            v1::ReadStageLogRequest {
                stage_name: "x".repeat(60_000),
                ..of(&job)
            },
            (Code::InvalidArgument, "INVALID_FIELDS", vec!["stage_name"]),
        ),
        (
            v1::ReadStageLogRequest {
                stage_name: "x".into(),
                ..of(&job)
            },
            (Code::NotFound, "STAGE_NOT_FOUND", vec![]),
        ),
        (
            v1::ReadStageLogRequest {
                attempt: 2,
                ..of(&job)
            },
            (Code::NotFound, "STAGE_NOT_FOUND", vec![]),
        ),
    ] {
        let (code, reason, fields) = refusal(read(&service, request).await);
        assert_eq!((code, reason.as_str()), (expected.0, expected.1));
        assert_eq!(fields, expected.2);
    }
}

#[tokio::test]
async fn bytes_are_stored_as_they_were_written() {
    let service = Service::start().await;
    // All byte values, from both outputs, without line structure.
    let command = r#"
        for high in 0 1 2 3; do for mid in 0 1 2 3 4 5 6 7; do for low in 0 1 2 3 4 5 6 7; do
            printf "\\$high$mid$low"
        done; done; done
        printf err >&2
    "#;
    let job = service.run(pipeline("p", [stage("s", command)])).await;
    let expected: Vec<u8> = (0..=255).chain(*b"err").collect();
    assert_eq!(read(&service, of(&job)).await.unwrap().bytes, expected);
}

#[tokio::test]
async fn a_follower_sees_the_log_grow_and_then_its_end() {
    let service = Service::start().await;
    let gate = service.gate("gate");

    let command = format!("echo before; cat {}; echo after", gate.display());
    let created = service.create(pipeline("p", [stage("s", &command)])).await;
    let job = service.trigger(&created).await;
    // Opened before the stage may have begun.
    let request = v1::ReadStageLogRequest {
        follow: true,
        ..of(&job)
    };
    let mut stream = service
        .jobs()
        .read_stage_log(request)
        .await
        .unwrap()
        .into_inner();
    let mut bytes = Vec::new();
    let mut opened = false;
    while let Some(message) = stream.message().await.unwrap() {
        match message.payload.unwrap() {
            Payload::Chunk(chunk) => bytes.extend_from_slice(&chunk.data),
            Payload::End(end) => assert_eq!(end.size_bytes, 18),
            Payload::Heartbeat(_) => {}
            Payload::Gap(gap) => panic!("{gap:?}"),
        }
        if bytes == b"before\n" && !opened {
            opened = true;
            // The present end of a growing log is not its end.
            let now = read(&service, of(&job)).await.unwrap();
            assert_eq!((now.bytes.as_slice(), now.end), (&b"before\n"[..], None));
            assert_eq!(service.get(&job.id).await.stage_runs[0].log_size_bytes, 7);
            open(&gate, "then\n").await;
        }
    }
    assert_eq!(bytes, b"before\nthen\nafter\n");
}

#[tokio::test]
async fn a_stage_that_never_ran_has_an_empty_complete_log() {
    let service = Service::start().await;
    let job = service
        .run(pipeline("p", [stage("fail", "false"), stage("s", "true")]))
        .await;
    let expected = Read {
        end: Some(0),
        ..Read::default()
    };
    let request = v1::ReadStageLogRequest {
        follow: true,
        ..of(&job)
    };
    assert_eq!(read(&service, request).await.unwrap(), expected);
}

#[tokio::test]
async fn a_large_log_arrives_complete_and_resumes_at_every_cut() {
    let service = Service::start().await;
    let job = service.run(pipeline("p", [stage("s", "seq 100000")])).await;
    let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(service.log(&job.id, "s").await, expected.as_bytes());

    let mut bytes = Vec::new();
    loop {
        let request = v1::ReadStageLogRequest {
            offset: bytes.len() as i64,
            ..of(&job)
        };
        let mut stream = service
            .jobs()
            .read_stage_log(request)
            .await
            .unwrap()
            .into_inner();
        // Cut after each message.
        let message = stream.message().await.unwrap().unwrap();
        match message.payload.unwrap() {
            Payload::Chunk(chunk) => bytes.extend_from_slice(&chunk.data),
            Payload::End(_) => break,
            other => panic!("{other:?}"),
        }
        assert_eq!(message.next_offset, bytes.len() as i64);
    }
    assert_eq!(bytes, expected.as_bytes());
}

/// A log that grows indefinitely still has a present end.
#[tokio::test]
async fn a_read_that_does_not_follow_ends_while_the_log_grows() {
    let service = Service::start().await;
    let created = service.create(pipeline("p", [stage("s", "yes")])).await;
    let job = service.trigger(&created).await;
    service.until_logged(&job.id, "s", "y").await;
    let now = read(&service, of(&job)).await.unwrap();
    assert!(!now.bytes.is_empty());
    assert_eq!(now.end, None);
    service.cancel(&job.id).await.unwrap();
    service.ended(&job.id).await;
}
