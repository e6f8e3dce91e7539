//! Reads the log of a stage, and resumes over new connections.

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

/// A log reader that resumes by itself.
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

    /// Does not wait for a service that was never reached, nor for bytes past the end.
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
        // A log that is followed has a message for its end.
        if message.is_none() && self.request.follow && !self.is_complete {
            return Err(Status::unavailable("the stream ended before the log").into());
        }
        Ok(message)
    }

    /// Advances the offset to resume from past the message.
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

/// Messages for gaps. A gap that grows while the log is followed is reported when it begins,
/// and the rest of it when it ends.
#[derive(Default)]
pub(crate) struct GapNotices {
    /// The part after the last reported gap that was not reported yet.
    rest: Option<v1::LogGap>,
}

impl GapNotices {
    /// Adds a gap; returns the message to show now.
    pub(crate) fn gap(&mut self, gap: &v1::LogGap) -> Vec<String> {
        if let Some(rest) = &mut self.rest
            && rest.end_offset == gap.start_offset
            && rest.reason == gap.reason
        {
            rest.end_offset = gap.end_offset;
            return Vec::new();
        }
        let mut notices: Vec<_> = self.over().into_iter().collect();
        notices.push(describe(gap));
        self.rest = Some(v1::LogGap {
            start_offset: gap.end_offset,
            ..*gap
        });
        notices
    }

    /// Ends the gap, if there is one; returns the message for its rest.
    pub(crate) fn over(&mut self) -> Option<String> {
        let rest = self.rest.take()?;
        (rest.start_offset < rest.end_offset).then(|| describe(&rest))
    }
}

fn describe(gap: &v1::LogGap) -> String {
    use v1::log_gap::Reason;
    let why = match gap.reason() {
        Reason::SizeLimit => "the log grew past its limit",
        Reason::Expired => "the log expired",
        Reason::RunnerLost => "the runner was lost before it had sent them",
        Reason::RunnerDropped => "the runner could not keep them",
        Reason::NotStored => "the service could not store them",
        Reason::Unspecified => "they are not kept",
    };
    let size = gap.end_offset - gap.start_offset;
    format!(
        "{size} bytes of the log are missing from offset {}: {why}",
        gap.start_offset
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::log_gap::Reason::{NotStored, SizeLimit};

    #[test]
    fn a_gap_that_grows_is_reported_twice_at_most() {
        let gap = |start_offset, end_offset, reason: v1::log_gap::Reason| v1::LogGap {
            start_offset,
            end_offset,
            reason: reason.into(),
        };
        let mut notices = GapNotices::default();
        let told = |size: i64, from: i64, why: &str| {
            format!("{size} bytes of the log are missing from offset {from}: {why}")
        };
        let lost = "the service could not store them";
        assert_eq!(notices.gap(&gap(5, 7, NotStored)), [told(2, 5, lost)]);
        for start in 7..17 {
            assert_eq!(notices.gap(&gap(start, start + 1, NotStored)), [""; 0]);
        }
        let limit = "the log grew past its limit";
        let both = [told(10, 7, lost), told(3, 17, limit)];
        assert_eq!(notices.gap(&gap(17, 20, SizeLimit)), both);
        assert_eq!(notices.over(), None);
        // Bytes came in between.
        assert_eq!(notices.gap(&gap(30, 31, SizeLimit)), [told(1, 30, limit)]);
        assert_eq!(notices.over(), None);
    }
}
