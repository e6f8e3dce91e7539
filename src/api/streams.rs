//! What streams send, in which order.

use std::{future::pending, pin::pin, sync::Arc, time::Duration};

use async_stream::try_stream;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use tonic::Status;

use crate::{
    auth::Session,
    engine::{Engine, Error, GapReason, JobView, LogPiece, Opening, StageLog, Watch},
    wire::{job_to_proto, v1},
};

use super::status::credentials_ended;

/// Silence on a followed log after which a heartbeat is sent.
const LOG_HEARTBEAT: Duration = Duration::from_secs(15);

/// Ends a stream with UNAVAILABLE once the service stops: its reader resumes. Ends it
/// with UNAUTHENTICATED once the caller's credentials are taken away or changed.
pub(super) fn until_closing<T>(
    engine: Arc<Engine>,
    session: Option<Arc<Session>>,
    stream: impl Stream<Item = Result<T, Status>>,
) -> impl Stream<Item = Result<T, Status>> {
    try_stream! {
        let mut stream = pin!(stream);
        let mut closing = pin!(engine.closing());
        let mut ended = pin!(ended(session.as_deref()));
        loop {
            // What can still be sent is sent first.
            let item = tokio::select! {
                biased;
                item = stream.next() => item,
                () = &mut closing => Some(Err(Error::Stopping.into())),
                () = &mut ended => Some(Err(credentials_ended())),
            };
            match item {
                Some(item) => yield item?,
                None => return,
            }
        }
    }
}

/// Waits for the end of a caller's credentials.
async fn ended(session: Option<&Session>) {
    match session {
        Some(session) => session.ended.cancelled().await,
        None => pending().await,
    }
}

/// The rules of WatchJob: the snapshot if there is one, the backlog, a heartbeat,
/// then events as they come and heartbeats in silence, until the job has ended.
pub(super) fn watch(
    opening: Opening,
    mut watch: Watch,
    silence: Duration,
) -> impl Stream<Item = Result<v1::WatchJobResponse, Status>> {
    try_stream! {
        if let Some(snapshot) = snapshot(opening) {
            yield snapshot;
        }
        while let Some(events) = batch(&mut watch).await? {
            yield events;
        }
        if !watch.is_over() {
            yield heartbeat(&watch);
        }
        while !watch.is_over() {
            match timeout(silence, watch.ready()).await {
                Err(_) => yield heartbeat(&watch),
                Ok(ready) => {
                    ready?;
                    if let Some(events) = batch(&mut watch).await? {
                        yield events;
                    }
                }
            }
        }
    }
}

/// The log from the reader's offset on, to its present end or, following, until
/// the stage is over.
pub(super) fn stage_log(
    mut log: StageLog,
) -> impl Stream<Item = Result<v1::ReadStageLogResponse, Status>> {
    use v1::read_stage_log_response::Payload;
    try_stream! {
        let mut has_caught_up = false;
        loop {
            let payload = match log.next().await? {
                LogPiece::Chunk(start, data) => Payload::Chunk(v1::LogChunk {
                    offset: offset(start),
                    data,
                }),
                LogPiece::Gap(range, reason) => Payload::Gap(v1::LogGap {
                    start_offset: offset(range.start),
                    end_offset: offset(range.end),
                    reason: gap_reason(reason).into(),
                }),
                LogPiece::End(size) => {
                    let end = v1::LogEnd { size_bytes: offset(size) };
                    yield log_message(&log, Payload::End(end));
                    return;
                }
                LogPiece::Nothing if log.follows() => {
                    let is_first = !std::mem::replace(&mut has_caught_up, true);
                    if !is_first && timeout(LOG_HEARTBEAT, log.changed()).await.is_ok() {
                        continue;
                    }
                    Payload::Heartbeat(v1::LogHeartbeat {})
                }
                LogPiece::Nothing | LogPiece::LimitReached => return,
            };
            yield log_message(&log, payload);
        }
    }
}

fn snapshot(opening: Opening) -> Option<v1::WatchJobResponse> {
    use v1::job_snapshot::Reason;
    let (JobView { job, stages }, reason) = match opening {
        Opening::Events => return None,
        Opening::Snapshot(view) => (view, Reason::Initial),
        Opening::Ahead(view) => (view, Reason::SequenceAhead),
    };
    let snapshot = v1::JobSnapshot {
        job: Some(job_to_proto(&job, &stages)),
        reason: reason.into(),
    };
    Some(watch_message(v1::watch_job_response::Payload::Snapshot(
        snapshot,
    )))
}

/// The events that are there, as one message; none if there are none.
async fn batch(watch: &mut Watch) -> Result<Option<v1::WatchJobResponse>, Error> {
    let events = watch.take().await?;
    if events.is_empty() {
        return Ok(None);
    }
    let events = events
        .iter()
        .map(|event| v1::JobEvent::clone(event))
        .collect();
    let batch = v1::JobEventBatch { events };
    Ok(Some(watch_message(
        v1::watch_job_response::Payload::Events(batch),
    )))
}

fn heartbeat(watch: &Watch) -> v1::WatchJobResponse {
    let last_sequence = watch.cursor();
    let heartbeat = v1::JobHeartbeat { last_sequence };
    watch_message(v1::watch_job_response::Payload::Heartbeat(heartbeat))
}

fn watch_message(payload: v1::watch_job_response::Payload) -> v1::WatchJobResponse {
    v1::WatchJobResponse {
        payload: Some(payload),
    }
}

fn log_message(
    log: &StageLog,
    payload: v1::read_stage_log_response::Payload,
) -> v1::ReadStageLogResponse {
    v1::ReadStageLogResponse {
        next_offset: offset(log.offset()),
        payload: Some(payload),
        attempt: i32::try_from(log.attempt()).unwrap_or(i32::MAX),
    }
}

fn gap_reason(reason: GapReason) -> v1::log_gap::Reason {
    match reason {
        GapReason::SizeLimit => v1::log_gap::Reason::SizeLimit,
        GapReason::Expired => v1::log_gap::Reason::Expired,
        GapReason::RunnerDropped => v1::log_gap::Reason::RunnerDropped,
    }
}

fn offset(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
