//! Limits the size of a request's messages and the time that they take to arrive.

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

use super::{
    super::{
        access::Method,
        limited::Limit,
        reason::Reason,
        status::{quota, refuse_with},
    },
    encoding::{Gunzip, TextDecoder},
};

/// Length of a message's prefix: a flag, and the message length in four bytes.
pub(super) const PREFIX: usize = 5;

/// A request's body. A message that is too large is refused as soon as its length is read,
/// before it is received. A request that has not arrived completely in time is refused: a
/// client that sends slowly, or never ends the request, would occupy its slot indefinitely.
/// A truncated request, one without a message, and one with several messages where the method
/// takes one are refused as the client's errors: tonic would return INTERNAL for them.
pub struct RequestBody<B> {
    inner: B,
    /// For gRPC-Web text.
    text: Option<Box<TextDecoder>>,
    /// For messages that are compressed.
    gunzip: Option<Box<Gunzip>>,
    measure: Measure,
    timeout: Option<Duration>,
    /// Created only when the body has to wait: most requests are complete when they are read.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The options with which a request is read.
pub(super) struct Reading {
    pub(super) limit: MessageLimit,
    /// The method takes one message, not a stream.
    pub(super) is_single: bool,
    pub(super) is_text: bool,
    pub(super) is_gzip: bool,
    /// For the whole request; unlimited if none.
    pub(super) timeout: Option<Duration>,
}

impl<B> RequestBody<B> {
    /// The timeout starts at the first poll that returns no data.
    pub(super) fn new(inner: B, reading: Reading) -> Self {
        let Reading {
            limit,
            is_single,
            is_text,
            is_gzip,
            timeout,
        } = reading;
        Self {
            inner,
            text: is_text.then(Box::default),
            gunzip: is_gzip.then(|| Box::new(Gunzip::new(limit))),
            measure: Measure::new(limit, is_single),
            timeout,
            alarm: None,
        }
    }

    fn decode(&mut self, data: Bytes) -> Result<Bytes, Status> {
        let data = match &mut self.text {
            Some(text) => text.decode(&data)?,
            None => data,
        };
        let data = match &mut self.gunzip {
            Some(gunzip) => gunzip.decode(&data)?,
            None => data,
        };
        self.measure.read(&data)?;
        Ok(data)
    }

    fn finish(&mut self) -> Result<(), Status> {
        if let Some(text) = &self.text {
            text.finish()?;
        }
        if let Some(gunzip) = &mut self.gunzip {
            self.measure.read(&gunzip.finish())?;
        }
        self.measure.finish()
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
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
                let Some(timeout) = this.timeout else {
                    return Poll::Pending;
                };
                let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(timeout)));
                ready!(alarm.as_mut().poll(cx));
                return Poll::Ready(Some(Err(too_slow().into())));
            };
            let Some(frame) = frame.transpose().map_err(Into::into)? else {
                this.finish()?;
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(data) => {
                    let data = this.decode(data)?;
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        if self.text.is_some() || self.gunzip.is_some() {
            return SizeHint::default();
        }
        self.inner.size_hint()
    }
}

/// The status for a body that violates the protocol.
pub(super) fn malformed(message: &str) -> Status {
    refuse_with(
        Reason::MessageMalformed,
        message.to_owned(),
        ErrorDetails::new(),
        HashMap::new(),
    )
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

/// Most bytes of a message, and where the limit comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum MessageLimit {
    Setting(u64),
    OfMethod(u64),
}

impl MessageLimit {
    /// The setting, or the method's own limit if it is less.
    pub(super) fn of(method: &Method, setting: u64) -> Self {
        match method.max_message {
            Some(own) if own < setting => Self::OfMethod(own),
            _ => Self::Setting(setting),
        }
    }

    pub(super) fn bytes(self) -> u64 {
        let (Self::Setting(limit) | Self::OfMethod(limit)) = self;
        limit
    }

    pub(super) fn check(self, length: u32) -> Result<(), Status> {
        let limit = self.bytes();
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

/// Parses the message prefixes in a stream of bytes and checks them.
struct Measure {
    limit: MessageLimit,
    is_single: bool,
    /// Messages whose prefix was read.
    messages: u32,
    /// The first `has` bytes of the next message's prefix.
    prefix: [u8; PREFIX],
    has: usize,
    /// Remaining bytes of the current message.
    rest: usize,
}

impl Measure {
    fn new(limit: MessageLimit, is_single: bool) -> Self {
        Self {
            limit,
            is_single,
            messages: 0,
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
                let [flag, length @ ..] = self.prefix;
                self.check_flag(flag)?;
                self.messages = self.messages.saturating_add(1);
                if self.is_single && self.messages > 1 {
                    return Err(malformed(
                        "the method takes one message, and got another one",
                    ));
                }
                let length = u32::from_be_bytes(length);
                self.limit.check(length)?;
                (self.has, self.rest) = (0, length as usize);
            }
        }
        Ok(())
    }

    /// If the headers name an encoding, compressed messages were decompressed before this
    /// check.
    fn check_flag(&self, flag: u8) -> Result<(), Status> {
        match flag {
            0 => Ok(()),
            1 => Err(malformed(
                "the message is marked as compressed, and the header grpc-encoding does not say how",
            )),
            other => Err(malformed(&format!(
                "the body is not gRPC: a message begins with 0 or 1, and this one with {other}"
            ))),
        }
    }

    /// The body has ended.
    fn finish(&self) -> Result<(), Status> {
        if self.has > 0 || self.rest > 0 {
            return Err(malformed("the body ends within a message"));
        }
        if self.is_single && self.messages == 0 {
            return Err(malformed(
                "the body has no message; an empty one is five zero bytes",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn measured(limit: u64, pieces: &[&[u8]]) -> Result<(), Status> {
        let mut measure = Measure::new(MessageLimit::Setting(limit), false);
        pieces.iter().try_for_each(|piece| measure.read(piece))
    }

    #[test]
    fn messages_are_found_wherever_they_are_split() {
        let stream = [
            &[0, 0, 0, 0, 3][..],
            b"abc",
            &[0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 4],
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

    #[test]
    fn a_unary_request_has_exactly_one_complete_message() {
        let finished = |body: &[u8]| {
            let mut measure = Measure::new(MessageLimit::Setting(9), true);
            measure.read(body).and_then(|()| measure.finish())
        };
        finished(&[0, 0, 0, 0, 1, 7]).unwrap();
        finished(&[0; 5]).unwrap();
        for wrong in [
            &[][..],
            &[0],
            &[0; 4],
            &[0, 0, 0, 0, 2, 7],
            &[1, 0, 0, 0, 1, 7],
            b"<html",
            &[0; 10],
            &[0; 6],
        ] {
            let refused = finished(wrong).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{wrong:?}");
        }
    }
}
