//! The response streams of WatchJob and ReadStageLog: what they send, and in which order.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Stream, stream};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tonic::Status;

use crate::{
    engine::{Engine, Error, GapReason, LogPiece, Opening, StageLog, Watch},
    proto::{Reply, v1},
};

use super::views::job_view_to_proto;

/// A followed log sends a heartbeat after this time without other messages.
const LOG_HEARTBEAT: Duration = Duration::from_secs(15);

pin_project! {
    /// A stream that ends with the status of the future `end`, unless it ends before.
    struct Until<S, E> {
        #[pin]
        stream: S,
        #[pin]
        end: E,
        is_over: bool,
    }
}

impl<T, S, E> Stream for Until<S, E>
where
    S: Stream<Item = Result<T, Status>>,
    E: Future<Output = Status>,
{
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if *this.is_over {
            return Poll::Ready(None);
        }
        // Items that are ready are sent before the end.
        if let Poll::Ready(item) = this.stream.poll_next(cx) {
            return Poll::Ready(item);
        }
        let status = ready!(this.end.poll(cx));
        *this.is_over = true;
        Poll::Ready(Some(Err(status)))
    }
}

/// Ends a stream with UNAVAILABLE when the service stops. The client can resume it.
pub(super) fn until_closing<T>(
    engine: Arc<Engine>,
    stream: impl Stream<Item = Result<T, Status>>,
) -> impl Stream<Item = Result<T, Status>> {
    let end = async move {
        engine.closing().await;
        Error::Stopping.into()
    };
    Until {
        stream,
        end,
        is_over: false,
    }
}

/// The stream of WatchJob: the snapshot if there is one, the backlog of events, one
/// heartbeat, then events as they occur, until the job has ended. A heartbeat is sent after
/// each period of `silence`.
pub(super) fn watch(
    opening: Opening,
    watch: Watch,
    silence: Duration,
) -> impl Stream<Item = Result<WatchMessage, Status>> {
    let watcher = Watcher {
        opening: Some(opening),
        is_behind: true,
        watch,
        silence,
        last_sent: Instant::now(),
        alarm: Box::pin(sleep(silence)),
    };
    stream::try_unfold(watcher, |mut watcher| async move {
        let message = watcher.next().await?;
        watcher.last_sent = Instant::now();
        Ok::<_, Status>(message.map(|message| (message, watcher)))
    })
}

type WatchMessage = Reply<v1::WatchJobResponse>;

/// The state of one WatchJob stream. Many thousands may wait at a time, and a future is as
/// large as its largest state: so no message is held across an await.
struct Watcher {
    /// Sent first; none once it was sent.
    opening: Option<Opening>,
    /// There may be events from before the watch began.
    is_behind: bool,
    watch: Watch,
    silence: Duration,
    last_sent: Instant,
    /// The heartbeat timer. It is reset only when it fires, not after each message.
    alarm: Pin<Box<Sleep>>,
}

impl Watcher {
    /// The next message; none after the job's last event.
    async fn next(&mut self) -> Result<Option<WatchMessage>, Error> {
        if let Some(snapshot) = self.opening.take().and_then(snapshot) {
            return Ok(Some(snapshot.into()));
        }
        loop {
            if let Some(events) = self.watch.take().await? {
                return Ok(Some(Reply::Encoded(events)));
            }
            if self.watch.is_over() {
                return Ok(None);
            }
            if mem::take(&mut self.is_behind) || !self.changed().await {
                return Ok(Some(heartbeat(&self.watch).into()));
            }
        }
    }

    /// Waits for a change; false if none occurs for the time of `silence`.
    async fn changed(&mut self) -> bool {
        loop {
            tokio::select! {
                biased;
                () = self.watch.changed() => return true,
                () = &mut self.alarm => {}
            }
            let due = self.last_sent + self.silence;
            if due <= Instant::now() {
                return false;
            }
            self.alarm.as_mut().reset(due);
        }
    }
}

/// The log from the client's offset to its current end or, if it is followed, until the
/// stage is over.
pub(super) fn stage_log(
    log: StageLog,
) -> impl Stream<Item = Result<Reply<v1::ReadStageLogResponse>, Status>> {
    let reader = LogReader {
        log,
        has_caught_up: false,
        is_over: false,
    };
    stream::try_unfold(reader, |mut reader| async move {
        let message = reader.next().await?;
        Ok::<_, Status>(message.map(|message| (message.into(), reader)))
    })
}

struct LogReader {
    log: StageLog,
    /// A heartbeat was sent that marks the current end of the log.
    has_caught_up: bool,
    is_over: bool,
}

impl LogReader {
    /// The next message; none after the end.
    async fn next(&mut self) -> Result<Option<v1::ReadStageLogResponse>, Error> {
        use v1::read_stage_log_response::Payload;
        while !self.is_over {
            let payload = match self.log.next().await? {
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
                    self.is_over = true;
                    Payload::End(v1::LogEnd {
                        size_bytes: offset(size),
                    })
                }
                LogPiece::Nothing if self.log.follows() => {
                    let is_first = !mem::replace(&mut self.has_caught_up, true);
                    if !is_first && timeout(LOG_HEARTBEAT, self.log.changed()).await.is_ok() {
                        continue;
                    }
                    Payload::Heartbeat(v1::LogHeartbeat {})
                }
                LogPiece::Nothing | LogPiece::LimitReached => return Ok(None),
            };
            return Ok(Some(log_message(&self.log, payload)));
        }
        Ok(None)
    }
}

fn snapshot(opening: Opening) -> Option<v1::WatchJobResponse> {
    use v1::job_snapshot::Reason;
    let (view, reason) = match opening {
        Opening::Events => return None,
        Opening::Snapshot(view) => (view, Reason::Initial),
        Opening::Ahead(view) => (view, Reason::SequenceAhead),
    };
    let snapshot = v1::JobSnapshot {
        job: Some(job_view_to_proto(&view)),
        reason: reason.into(),
    };
    Some(watch_message(v1::watch_job_response::Payload::Snapshot(
        snapshot,
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
        GapReason::NotStored => v1::log_gap::Reason::NotStored,
    }
}

fn offset(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, S: Stream>(_: impl Fn(A) -> S) -> usize {
        size_of::<S>()
    }

    /// Ten thousand streams may wait at a time.
    #[test]
    fn a_waiting_stream_is_small() {
        let watching = size(|(engine, opening, watching, silence)| {
            until_closing(engine, watch(opening, watching, silence))
        });
        let reading = size(|(engine, log)| until_closing(engine, stage_log(log)));
        assert!(watching <= 1_280, "{watching} bytes");
        assert!(reading <= 1_280, "{reading} bytes");
    }
}
