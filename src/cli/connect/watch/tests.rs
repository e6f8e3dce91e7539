//! Watches and log readers against a service that breaks connections.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use futures_util::{Stream, stream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response,
    transport::{Endpoint, Server},
};
use v1::{
    job::State,
    job_service_server::{JobService, JobServiceServer},
};

use super::*;
use crate::{
    cli::connect::{caller::Credentials, connection::Connection, log_reader::LogReader},
    proto::Reply,
};

type Messages<T> = Vec<Result<T, Status>>;
type BoxStream<T> = std::pin::Pin<Box<dyn Stream<Item = Result<Reply<T>, Status>> + Send>>;

/// Plays one script per connection, and records where each call resumed.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Played>>);

#[derive(Default)]
struct Played {
    watches: VecDeque<Messages<v1::WatchJobResponse>>,
    cursors: Vec<Option<i64>>,
    logs: VecDeque<Messages<v1::ReadStageLogResponse>>,
    offsets: Vec<(i32, i64)>,
}

#[tonic::async_trait]
impl JobService for Script {
    type WatchJobStream = BoxStream<v1::WatchJobResponse>;
    type ReadStageLogStream = BoxStream<v1::ReadStageLogResponse>;

    async fn watch_job(
        &self,
        request: Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let mut played = self.0.lock().unwrap();
        played.cursors.push(request.get_ref().last_seen_sequence);
        let messages = played.watches.pop_front();
        let messages = messages.ok_or_else(|| Status::not_found("the script is over"))?;
        let messages = messages.into_iter().map(|message| message.map(Into::into));
        Ok(Response::new(Box::pin(stream::iter(messages))))
    }

    async fn read_stage_log(
        &self,
        request: Request<v1::ReadStageLogRequest>,
    ) -> Result<Response<Self::ReadStageLogStream>, Status> {
        let mut played = self.0.lock().unwrap();
        let request = request.get_ref();
        played.offsets.push((request.attempt, request.offset));
        let messages = played.logs.pop_front();
        let messages = messages.ok_or_else(|| Status::not_found("the script is over"))?;
        let messages = messages.into_iter().map(|message| message.map(Into::into));
        Ok(Response::new(Box::pin(stream::iter(messages))))
    }

    async fn get_job(
        &self,
        _: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let job = Some(job(9, State::Succeeded));
        Ok(Response::new(v1::GetJobResponse { job }))
    }

    async fn list_jobs(
        &self,
        _: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn cancel_job(
        &self,
        _: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn retry_job(
        &self,
        _: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

async fn client(script: &Script) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = JobServiceServer::new(script.clone());
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    client_of(endpoint)
}

fn client_of(endpoint: Endpoint) -> Client {
    let connection = Connection::new(endpoint, Credentials::default());
    Client::new(connection, Duration::from_secs(5))
}

fn job(last_sequence: i64, state: State) -> v1::Job {
    v1::Job {
        state: state.into(),
        last_sequence,
        ..Default::default()
    }
}

fn snapshot(last_sequence: i64) -> Result<v1::WatchJobResponse, Status> {
    let snapshot = v1::JobSnapshot {
        job: Some(job(last_sequence, State::Running)),
        ..Default::default()
    };
    let payload = Some(v1::watch_job_response::Payload::Snapshot(snapshot));
    Ok(v1::WatchJobResponse { payload })
}

fn events(sequences: &[i64], last: Option<State>) -> Result<v1::WatchJobResponse, Status> {
    let event = |sequence: &i64| v1::JobEvent {
        sequence: *sequence,
        ..Default::default()
    };
    let mut events: Vec<_> = sequences.iter().map(event).collect();
    if let (Some(state), Some(event)) = (last, events.last_mut()) {
        let job = Some(job(event.sequence, state));
        event.change = Some(v1::job_event::Change::JobEnded(v1::JobEnded { job }));
    }
    let payload = v1::watch_job_response::Payload::Events(v1::JobEventBatch { events });
    Ok(v1::WatchJobResponse {
        payload: Some(payload),
    })
}

async fn sequences(watch: &mut Watch) -> Result<Vec<i64>, Failure> {
    let mut seen = Vec::new();
    while let Some(progress) = watch.next().await? {
        if let Progress::Advanced(events) = progress {
            seen.extend(events.iter().map(|event| event.sequence));
        }
    }
    Ok(seen)
}

async fn watch(scripts: Vec<Messages<v1::WatchJobResponse>>) -> (Watch, Script) {
    let script = Script::default();
    script.0.lock().unwrap().watches = scripts.into();
    let client = client(&script).await;
    (Watch::new(client, "j".into(), JobView::default()), script)
}

fn cursors(script: &Script) -> Vec<Option<i64>> {
    script.0.lock().unwrap().cursors.clone()
}

#[tokio::test]
async fn a_broken_watch_resumes_without_gap_or_repeat() {
    let (mut watch, script) = watch(vec![
        vec![
            snapshot(2),
            events(&[3, 4], None),
            Err(Status::internal("broken")),
        ],
        vec![
            events(&[4, 5], None),
            events(&[8], None),
            events(&[9], None),
        ],
        vec![events(&[6, 7, 8], Some(State::Failed))],
    ])
    .await;
    assert_eq!(sequences(&mut watch).await.unwrap(), [3, 4, 5, 6, 7, 8]);
    assert_eq!(cursors(&script), [None, Some(4), Some(5)]);
    assert_eq!(watch.view().ended().unwrap().state(), State::Failed);
}

#[tokio::test]
async fn a_final_status_ends_the_watch() {
    let (mut watch, script) = watch(vec![vec![
        snapshot(2),
        Err(Status::permission_denied("no more")),
    ]])
    .await;
    let failure = sequences(&mut watch).await.unwrap_err();
    assert_eq!(failure.exit(), exit::Exit::NotAllowed);
    assert_eq!(cursors(&script).len(), 1);
}

#[tokio::test]
async fn a_watch_that_ends_early_asks_for_the_job() {
    let (mut watch, _) = watch(vec![vec![snapshot(2)]]).await;
    assert!(sequences(&mut watch).await.unwrap().is_empty());
    assert_eq!(watch.view().last_sequence(), Some(9));
}

#[tokio::test]
async fn a_service_that_was_never_there_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let client = client_of(endpoint);
    let mut watch = Watch::new(client, "j".into(), JobView::default());
    let failure = watch.next().await.unwrap_err();
    assert_eq!(failure.exit(), exit::Exit::Unavailable);
}

fn chunk(data: &'static str, next_offset: i64) -> Result<v1::ReadStageLogResponse, Status> {
    let chunk = v1::LogChunk {
        offset: next_offset - i64::try_from(data.len()).unwrap(),
        data: data.into(),
    };
    Ok(v1::ReadStageLogResponse {
        next_offset,
        attempt: 2,
        payload: Some(v1::read_stage_log_response::Payload::Chunk(chunk)),
    })
}

fn log_end() -> Result<v1::ReadStageLogResponse, Status> {
    let end = v1::LogEnd { size_bytes: 8 };
    Ok(v1::ReadStageLogResponse {
        next_offset: 8,
        attempt: 2,
        payload: Some(v1::read_stage_log_response::Payload::End(end)),
    })
}

#[tokio::test]
async fn a_log_that_is_followed_ends_where_the_service_says_so() {
    let script = Script::default();
    script.0.lock().unwrap().logs =
        VecDeque::from([vec![chunk("one ", 4)], vec![chunk("two ", 8), log_end()]]);
    let request = v1::ReadStageLogRequest {
        follow: true,
        ..Default::default()
    };
    let mut reader = LogReader::new(client(&script).await, request);
    while reader.next().await.unwrap().is_some() {}
    let offsets = script.0.lock().unwrap().offsets.clone();
    assert_eq!(offsets, [(0, 0), (2, 4)]);
}

#[tokio::test]
async fn a_broken_log_resumes_at_its_byte_and_attempt() {
    let script = Script::default();
    script.0.lock().unwrap().logs = VecDeque::from([
        vec![chunk("one ", 4), Err(Status::unavailable("broken"))],
        vec![chunk("two ", 8), Err(Status::unknown("broken"))],
        vec![chunk("three", 13)],
    ]);
    let mut reader = LogReader::new(client(&script).await, Default::default());
    let mut text = Vec::new();
    while let Some(message) = reader.next().await.unwrap() {
        if let Some(v1::read_stage_log_response::Payload::Chunk(chunk)) = message.payload {
            text.extend_from_slice(&chunk.data);
        }
    }
    assert_eq!(text, b"one two three");
    let offsets = script.0.lock().unwrap().offsets.clone();
    assert_eq!(offsets, [(0, 0), (2, 4), (2, 8)]);
}
