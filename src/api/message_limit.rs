//! How large the messages of a request may be, by method.

use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;
use tower::{Layer, Service};

use super::limited::Limit;

/// A flag, and the length in four bytes.
const PREFIX: usize = 5;

/// Refuses a message when it says how long it is, before it is received.
#[derive(Clone)]
pub struct MessageLimitLayer {
    limit_of: Arc<dyn Fn(&str) -> u64 + Send + Sync>,
}

impl MessageLimitLayer {
    /// A layer that asks for the limit, in bytes, of a method by its path.
    pub fn new(limit_of: impl Fn(&str) -> u64 + Send + Sync + 'static) -> Self {
        Self {
            limit_of: Arc::new(limit_of),
        }
    }
}

impl<S> Layer<S> for MessageLimitLayer {
    type Service = MessageLimits<S>;

    fn layer(&self, inner: S) -> MessageLimits<S> {
        MessageLimits {
            inner,
            limit_of: Arc::clone(&self.limit_of),
        }
    }
}

/// The service that [`MessageLimitLayer`] makes.
#[derive(Clone)]
pub struct MessageLimits<S> {
    inner: S,
    limit_of: Arc<dyn Fn(&str) -> u64 + Send + Sync>,
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
        let limit = (self.limit_of)(request.uri().path());
        self.inner
            .call(request.map(|body| Measured::new(body, limit)))
    }
}

/// A request's body whose messages are measured as they begin.
pub struct Measured<B> {
    inner: B,
    limit: u64,
    /// What has come of the next message's prefix.
    prefix: [u8; PREFIX],
    has: usize,
    /// Bytes that are still to come of the present message.
    rest: usize,
}

impl<B> Measured<B> {
    fn new(inner: B, limit: u64) -> Self {
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
                if u64::from(length) > self.limit {
                    return Err(too_large(length, self.limit));
                }
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

fn too_large(length: u32, limit: u64) -> Status {
    let refused = Limit {
        reason: "MESSAGE_TOO_LARGE",
        setting: "max_message",
        limit,
    };
    // Some methods take less than the setting, so it is told what this one takes.
    let message = format!("the message has {length} bytes, and this method takes {limit} at most");
    refused.refuse("message", &message)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn measured(limit: u64, pieces: &[&[u8]]) -> Result<(), Status> {
        let mut body = Measured::new((), limit);
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
