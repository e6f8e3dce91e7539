//! Reading the log of a stage, over as many connections as it takes.

use tonic::{Code, Status, Streaming};

use crate::{
    cli::{
        connect::{
            backoff::Backoff,
            client::{Client, is_aged, is_final},
            watch::{SILENCE, silent},
        },
        exit::{self, Failure},
        present::out,
    },
    proto::v1::{self, read_stage_log_response::Payload},
};

/// A reader that resumes by itself.
pub(crate) struct LogReader {
    client: Client,
    request: v1::ReadStageLogRequest,
    stream: Option<Streaming<v1::ReadStageLogResponse>>,
    backoff: Backoff,
    was_connected: bool,
    is_complete: bool,
}

impl LogReader {
    /// Connects with the first `next`.
    pub(crate) fn new(client: Client, request: v1::ReadStageLogRequest) -> Self {
        Self {
            client,
            request,
            stream: None,
            backoff: Backoff::default(),
            was_connected: false,
            is_complete: false,
        }
    }

    /// Waits for the next chunk or gap; [`None`] at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<v1::ReadStageLogResponse>, Failure> {
        loop {
            match self.receive().await {
                Ok(Some(message)) => {
                    self.accept(&message);
                    if let Some(Payload::Chunk(_) | Payload::Gap(_)) = message.payload {
                        return Ok(Some(message));
                    }
                }
                Ok(None) => return Ok(None),
                Err(Failure::Status(status)) if self.can_resume(&status) => {
                    self.lost(&status).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// A service that was never reached is not waited for, nor are bytes past
    /// the end.
    fn can_resume(&self, status: &Status) -> bool {
        self.was_connected && !is_final(status) && status.code() != Code::OutOfRange
    }

    async fn receive(&mut self) -> Result<Option<v1::ReadStageLogResponse>, Failure> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(open(&self.client, &self.request).await?),
        };
        self.was_connected = true;
        let message = tokio::time::timeout(SILENCE, stream.message()).await;
        let message = message.map_err(|_| silent())??;
        // What is followed to its end says where that is.
        if message.is_none() && self.request.follow && !self.is_complete {
            return Err(Status::unavailable("the stream ended before the log").into());
        }
        Ok(message)
    }

    /// Moves the place to resume from to behind the message.
    fn accept(&mut self, message: &v1::ReadStageLogResponse) {
        self.backoff.reset();
        self.request.offset = message.next_offset;
        self.request.attempt = message.attempt;
        self.is_complete = matches!(message.payload, Some(Payload::End(_)));
    }

    async fn lost(&mut self, status: &Status) {
        self.stream = None;
        if !is_aged(status) {
            out::notice(&format!(
                "log interrupted, reconnecting: {}",
                exit::describe(status)
            ));
        }
        tokio::time::sleep(self.backoff.after(status)).await;
    }
}

async fn open(
    client: &Client,
    request: &v1::ReadStageLogRequest,
) -> Result<Streaming<v1::ReadStageLogResponse>, Failure> {
    let send =
        |mut client: Client, request| async move { client.jobs.read_stage_log(request).await };
    client.call(request.clone(), send).await
}

/// A gap in words.
pub(crate) fn describe(gap: &v1::LogGap) -> String {
    use v1::log_gap::Reason;
    let why = match gap.reason() {
        Reason::SizeLimit => "the log grew past its limit",
        Reason::Expired => "the log expired",
        Reason::RunnerLost => "the runner was lost before it had sent them",
        Reason::RunnerDropped => "the runner could not keep them",
        Reason::Unspecified => "they are not kept",
    };
    let size = gap.end_offset - gap.start_offset;
    format!(
        "{size} bytes of the log are missing from offset {}: {why}",
        gap.start_offset
    )
}
