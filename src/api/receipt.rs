//! How long a request may take to arrive.

use std::{
    collections::HashMap,
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic_types::ErrorDetails;
use tower::{Layer, Service};

use super::{access::is_conversation, reason::Reason, status::refuse_with};

/// Refuses a call whose request has not arrived in time, to its end: one that dribbles,
/// or is never ended, would keep its place for ever.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptLayer {
    timeout: Duration,
}

impl ReceiptLayer {
    /// A layer that waits so long.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

impl<S> Layer<S> for ReceiptLayer {
    type Service = Receipts<S>;

    fn layer(&self, inner: S) -> Receipts<S> {
        Receipts {
            inner,
            timeout: self.timeout,
        }
    }
}

/// The service that [`ReceiptLayer`] makes.
#[derive(Clone)]
pub struct Receipts<S> {
    inner: S,
    timeout: Duration,
}

impl<S, ReqBody> Service<Request<ReqBody>> for Receipts<S>
where
    S: Service<Request<Awaited<ReqBody>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let is_timed = !is_conversation(request.uri().path());
        let until = is_timed.then(|| Instant::now() + self.timeout);
        self.inner.call(request.map(|inner| Awaited {
            inner,
            until,
            alarm: None,
        }))
    }
}

/// A request's body that is awaited for so long.
pub struct Awaited<B> {
    inner: B,
    until: Option<Instant>,
    /// Made when there is something to wait for: most requests are all there at once.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<B> Body for Awaited<B>
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
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some(until) = this.until else {
            return Poll::Pending;
        };
        let alarm = this
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Some(Err(too_slow().into())))
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
