//! How large the messages of a request may be, by method.

use std::{
    collections::HashMap,
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;
use tower::{Layer, Service};

use super::{
    access,
    limited::Limit,
    reason::Reason,
    status::{quota, refuse_with},
};

/// A flag, and the length in four bytes.
const PREFIX: usize = 5;

/// Refuses a message when it says how long it is, before it is received.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimitLayer {
    setting: u64,
}

impl MessageLimitLayer {
    /// A layer that lets messages have so many bytes, and fewer where the table of
    /// methods says so.
    pub fn new(setting: u64) -> Self {
        Self { setting }
    }
}

impl<S> Layer<S> for MessageLimitLayer {
    type Service = MessageLimits<S>;

    fn layer(&self, inner: S) -> MessageLimits<S> {
        MessageLimits {
            inner,
            setting: self.setting,
        }
    }
}

/// The service that [`MessageLimitLayer`] makes.
#[derive(Clone)]
pub struct MessageLimits<S> {
    inner: S,
    setting: u64,
}

impl<S, ReqBody> Service<Request<ReqBody>> for MessageLimits<S>
where
    S: Service<Request<Measured<ReqBody>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let own = access::method(request.uri().path()).and_then(|method| method.max_message);
        let limit = match own {
            Some(own) if own < self.setting => MessageLimit::OfMethod(own),
            _ => MessageLimit::Setting(self.setting),
        };
        self.inner
            .call(request.map(|body| Measured::new(body, limit)))
    }
}

/// Most bytes of a message, and who says so.
#[derive(Clone, Copy, Debug)]
enum MessageLimit {
    Setting(u64),
    OfMethod(u64),
}

impl MessageLimit {
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

/// A request's body whose messages are measured as they begin.
pub struct Measured<B> {
    inner: B,
    limit: MessageLimit,
    /// What has come of the next message's prefix.
    prefix: [u8; PREFIX],
    has: usize,
    /// Bytes that are still to come of the present message.
    rest: usize,
}

impl<B> Measured<B> {
    fn new(inner: B, limit: MessageLimit) -> Self {
        Self {
            inner,
            limit,
            prefix: [0; PREFIX],
            has: 0,
            rest: 0,
        }
    }

    fn measure(&mut self, mut data: &[u8]) -> Result<(), Status> {
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

impl<B> Body for Measured<B>
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
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(frame) => frame.map_err(Into::into)?,
        };
        if let Some(data) = frame.data_ref() {
            this.measure(data)?;
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

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn measured(limit: u64, pieces: &[&[u8]]) -> Result<(), Status> {
        let mut body = Measured::new((), MessageLimit::Setting(limit));
        pieces.iter().try_for_each(|piece| body.measure(piece))
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
