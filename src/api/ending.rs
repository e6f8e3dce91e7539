//! The end of a response before its time: by a status of its own.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use crate::auth::Session;

use super::status::credentials_ended;

/// What ends a response with a status. Without trailers the client sees a broken
/// stream, which is as much an end.
pub(super) fn last_frame(status: &Status) -> Option<Frame<Bytes>> {
    let mut trailers = HeaderMap::new();
    let added = status.add_header(&mut trailers);
    added.ok().map(|()| Frame::trailers(trailers))
}

/// A response that ends with its caller's session, however much it still has to say.
#[derive(Default)]
pub struct Ending<B> {
    inner: B,
    /// None for a caller who did not have to be known.
    session: Option<Arc<Session>>,
    /// Wakes it then. Made when there is something to wait for, which no response of
    /// a single message has.
    alarm: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    has_begun: bool,
    is_over: bool,
}

impl<B> Ending<B> {
    pub(super) fn new(inner: B, session: Option<Arc<Session>>) -> Self {
        Self {
            inner,
            session,
            alarm: None,
            has_begun: false,
            is_over: false,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Ending<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let Some(session) = &this.session else {
            return polled;
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                // The first message may be the only one, and tell of what was done.
                let is_first = !mem::replace(&mut this.has_begun, true);
                if is_first || !session.ended.is_cancelled() {
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
            Poll::Ready(end) => return Poll::Ready(end),
            Poll::Pending => {
                let wait = || Box::pin(session.ended.clone().cancelled_owned());
                ready!(this.alarm.get_or_insert_with(wait).as_mut().poll(cx));
            }
        }
        this.is_over = true;
        Poll::Ready(last_frame(&credentials_ended()).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.session {
            None => self.inner.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{BodyExt, Full, StreamBody};
    use tokio_util::sync::CancellationToken;
    use tonic::Code;

    use crate::auth::Authority;

    use super::*;

    fn session() -> Arc<Session> {
        Arc::new(Session {
            principal: Authority::of_nobody().principal,
            ended: CancellationToken::new(),
            expire_time: None,
        })
    }

    fn data() -> Result<Frame<Bytes>, Infallible> {
        Ok(Frame::data(Bytes::from_static(b"more")))
    }

    async fn frame(
        body: &mut (impl Body<Data = Bytes, Error = Infallible> + Unpin),
    ) -> Frame<Bytes> {
        body.frame().await.unwrap().unwrap()
    }

    #[track_caller]
    fn assert_ends(frame: &Frame<Bytes>) {
        let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
        assert_eq!(status.code(), Code::Unauthenticated);
    }

    #[tokio::test]
    async fn a_response_that_never_pauses_ends_with_its_session() {
        let session = session();
        let endless = StreamBody::new(stream::repeat_with(data));
        let mut body = Ending::new(endless, Some(Arc::clone(&session)));
        for _ in 0..2 {
            assert!(frame(&mut body).await.is_data());
        }
        session.ended.cancel();
        assert_ends(&frame(&mut body).await);
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_silent_response_ends_with_its_session() {
        let session = session();
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let mut body = Ending::new(silent, Some(Arc::clone(&session)));
        assert!(futures_util::poll!(body.frame()).is_pending());
        session.ended.cancel();
        assert_ends(&frame(&mut body).await);
    }

    #[tokio::test]
    async fn the_answer_of_what_was_done_is_told_all_the_same() {
        let session = session();
        session.ended.cancel();
        let mut body = Ending::new(Full::new(Bytes::from_static(b"done")), Some(session));
        assert!(frame(&mut body).await.is_data());
        assert!(body.frame().await.is_none());
    }
}
