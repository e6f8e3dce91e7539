//! A request as it arrives: how large its messages may be, and how long they may take.

use std::{
    collections::HashMap,
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic_types::ErrorDetails;

use super::super::{
    access::Method,
    limited::Limit,
    reason::Reason,
    status::{quota, refuse_with},
};

/// A flag, and the length in four bytes.
const PREFIX: usize = 5;

/// A request's body. A message that is too large is refused when it says how long it is,
/// before it is received. A request that has not arrived to its end in time is refused,
/// too: one that dribbles, or is never ended, would keep its place for ever.
pub struct RequestBody<B> {
    inner: B,
    measure: Measure,
    timeout: Option<Duration>,
    /// Made when there is something to wait for: most requests are all there at once.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<B> RequestBody<B> {
    /// A body that is awaited for so long, if not for as long as it takes. The time runs from
    /// the first look that finds nothing.
    pub(super) fn new(inner: B, limit: MessageLimit, timeout: Option<Duration>) -> Self {
        Self {
            inner,
            measure: Measure::new(limit),
            timeout,
            alarm: None,
        }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            let Some(timeout) = this.timeout else {
                return Poll::Pending;
            };
            let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(timeout)));
            ready!(alarm.as_mut().poll(cx));
            return Poll::Ready(Some(Err(too_slow().into())));
        };
        let Some(frame) = frame.transpose().map_err(Into::into)? else {
            return Poll::Ready(None);
        };
        if let Some(data) = frame.data_ref() {
            this.measure.read(data)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn too_slow() -> Status {
    let setting = "message_timeout";
    let facts = HashMap::from([("setting".to_owned(), setting.to_owned())]);
    refuse_with(
        Reason::RequestTooSlow,
        format!("the request took too long to arrive; the setting is {setting}"),
        ErrorDetails::new(),
        facts,
    )
}

/// Most bytes of a message, and who says so.
#[derive(Clone, Copy, Debug)]
pub(super) enum MessageLimit {
    Setting(u64),
    OfMethod(u64),
}

impl MessageLimit {
    /// The setting, or the method's own where it is less.
    pub(super) fn of(method: &Method, setting: u64) -> Self {
        match method.max_message {
            Some(own) if own < setting => Self::OfMethod(own),
            _ => Self::Setting(setting),
        }
    }

    fn check(self, length: u32) -> Result<(), Status> {
        let (Self::Setting(limit) | Self::OfMethod(limit)) = self;
        if u64::from(length) <= limit {
            return Ok(());
        }
        let message = format!("the message has {length} bytes, and this method takes {limit}");
        let reason = Reason::MessageTooLarge;
        Err(match self {
            Self::Setting(_) => {
                let setting = "max_message";
                let refused = Limit {
                    reason,
                    setting,
                    limit,
                };
                refused.refuse("message", &message)
            }
            Self::OfMethod(_) => {
                let details = quota("message".to_owned(), format!("at most {limit} bytes"));
                let facts = HashMap::from([("limit".to_owned(), limit.to_string())]);
                refuse_with(reason, message, details, facts)
            }
        })
    }
}

/// Measures messages as they begin.
struct Measure {
    limit: MessageLimit,
    /// What has come of the next message's prefix.
    prefix: [u8; PREFIX],
    has: usize,
    /// Bytes that are still to come of the present message.
    rest: usize,
}

impl Measure {
    fn new(limit: MessageLimit) -> Self {
        Self {
            limit,
            prefix: [0; PREFIX],
            has: 0,
            rest: 0,
        }
    }

    fn read(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            if self.rest > 0 {
                let skipped = self.rest.min(data.len());
                self.rest -= skipped;
                data = &data[skipped..];
                continue;
            }
            let taken = (PREFIX - self.has).min(data.len());
            self.prefix[self.has..self.has + taken].copy_from_slice(&data[..taken]);
            self.has += taken;
            data = &data[taken..];
            if self.has == PREFIX {
                let [_, length @ ..] = self.prefix;
                let length = u32::from_be_bytes(length);
                self.limit.check(length)?;
                (self.has, self.rest) = (0, length as usize);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn measured(limit: u64, pieces: &[&[u8]]) -> Result<(), Status> {
        let mut measure = Measure::new(MessageLimit::Setting(limit));
        pieces.iter().try_for_each(|piece| measure.read(piece))
    }

    #[test]
    fn messages_are_told_apart_wherever_they_are_cut() {
        let stream = [
            &[0, 0, 0, 0, 3][..],
            b"abc",
            &[0, 0, 0, 0, 0],
            &[1, 0, 0, 0, 4],
        ]
        .concat();
        for cut in 0..=stream.len() {
            let (before, after) = stream.split_at(cut);
            measured(4, &[before, after]).unwrap();
            let refused = measured(3, &[before, after]).unwrap_err();
            assert_eq!(refused.code(), Code::ResourceExhausted);
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        measured(4, &bytes).unwrap();
        measured(3, &bytes).unwrap_err();
    }
}
