//! An answer as it is sent, and its end before its time by a status of its own.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, body::Body as Inner};

use crate::auth::Session;

use super::{
    super::status::credentials_ended, call_metrics::OpenCall, deadline::End, quota::Place,
};

/// What ends an answer before its time, however much it still has to say.
#[derive(Default)]
pub(super) struct Bounds {
    /// It ends with its caller's session; none for a caller who did not have to be known.
    session: Option<Arc<Session>>,
    /// It ends at a time.
    end: Option<(Instant, End)>,
    /// These wake it. They are made when there is something to wait for, which no answer of
    /// a single message has.
    session_alarm: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    time_alarm: Option<Pin<Box<Sleep>>>,
}

impl Bounds {
    pub(super) fn new(session: Option<Arc<Session>>, end: Option<(Instant, End)>) -> Self {
        Self {
            session,
            end,
            ..Self::default()
        }
    }

    /// Whether it has to end.
    fn reached(&self) -> Option<Status> {
        if let Some(session) = &self.session
            && session.ended.is_cancelled()
        {
            return Some(credentials_ended());
        }
        let (at, end) = self.end?;
        (at <= Instant::now()).then(|| end.status())
    }

    /// Waits until it has to end.
    fn poll_reached(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if let Some(session) = &self.session {
            let wait = || Box::pin(session.ended.clone().cancelled_owned());
            let wait = self.session_alarm.get_or_insert_with(wait);
            if wait.as_mut().poll(cx).is_ready() {
                return Poll::Ready(credentials_ended());
            }
        }
        let Some((at, end)) = self.end else {
            return Poll::Pending;
        };
        let wait = self
            .time_alarm
            .get_or_insert_with(|| Box::pin(sleep_until(at)));
        ready!(wait.as_mut().poll(cx));
        Poll::Ready(end.status())
    }
}

/// The body of an answer.
pub struct ResponseBody {
    inner: Inner,
    bounds: Bounds,
    /// Among the calls of its caller, until the answer has ended.
    place: Option<Place>,
    call: OpenCall,
    has_begun: bool,
    is_over: bool,
}

impl ResponseBody {
    pub(super) fn new(inner: Inner, bounds: Bounds, place: Option<Place>, call: OpenCall) -> Self {
        Self {
            bounds,
            // An answer that is all in its headers is never polled.
            place: place.filter(|_| !inner.is_end_stream()),
            inner,
            call,
            has_begun: false,
            is_over: false,
        }
    }

    /// Of an answer that is all in its headers.
    pub(super) fn nothing(call: OpenCall) -> Self {
        Self::new(Inner::empty(), Bounds::default(), None, call)
    }

    /// Ends with a status. Without trailers the client sees a broken stream, which is as
    /// much an end.
    fn end(&mut self, status: &Status) -> Option<Frame<Bytes>> {
        self.is_over = true;
        self.place = None;
        self.call.end(status);
        let mut trailers = HeaderMap::new();
        let added = status.add_header(&mut trailers);
        added.ok().map(|()| Frame::trailers(trailers))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let status = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                // The first message may be the only one, and tell of what was done, whatever the
                // time is and whoever has gone.
                let is_first = !mem::replace(&mut this.has_begun, true);
                // A stream that always has something to say ends, too.
                let reached = (!is_first).then(|| this.bounds.reached()).flatten();
                let Some(status) = reached else {
                    return Poll::Ready(Some(Ok(frame)));
                };
                status
            }
            Poll::Ready(last) => {
                // Before the client can know of the end, as its next call may come at once.
                this.place = None;
                if let Some(Ok(frame)) = &last
                    && let Some(trailers) = frame.trailers_ref()
                {
                    this.call.look_at(trailers);
                }
                return Poll::Ready(last);
            }
            Poll::Pending => ready!(this.bounds.poll_reached(cx)),
        };
        Poll::Ready(this.end(&status).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use futures_util::stream;
    use http_body_util::{BodyExt, Full, StreamBody};
    use tokio::time;
    use tonic::Code;

    use crate::auth::Authority;

    use super::{
        super::{call_metrics::CallMetrics, quota::Quotas},
        *,
    };

    fn session() -> Arc<Session> {
        let principal = Arc::unwrap_or_clone(Authority::of_nobody().principal);
        Session::new(principal, None)
    }

    fn sent(
        inner: impl Body<Data = Bytes, Error = Status> + Send + 'static,
        session: &Arc<Session>,
        end: Option<(Instant, End)>,
    ) -> ResponseBody {
        let bounds = Bounds::new(Some(Arc::clone(session)), end);
        ResponseBody::new(
            Inner::new(inner),
            bounds,
            None,
            CallMetrics::default().open(None),
        )
    }

    fn endless() -> impl Body<Data = Bytes, Error = Status> {
        let data = || Ok(Frame::data(Bytes::from_static(b"more")));
        StreamBody::new(stream::repeat_with(data))
    }

    fn silent() -> impl Body<Data = Bytes, Error = Status> {
        StreamBody::new(stream::pending())
    }

    async fn frame(body: &mut ResponseBody) -> Frame<Bytes> {
        body.frame().await.unwrap().unwrap()
    }

    #[track_caller]
    fn assert_ends(frame: &Frame<Bytes>, code: Code) {
        let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
        assert_eq!(status.code(), code);
    }

    #[tokio::test]
    async fn an_answer_that_never_pauses_ends_with_its_session() {
        let session = session();
        let mut body = sent(endless(), &session, None);
        for _ in 0..2 {
            assert!(frame(&mut body).await.is_data());
        }
        session.ended.cancel();
        assert_ends(&frame(&mut body).await, Code::Unauthenticated);
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_silent_answer_ends_with_its_session() {
        let session = session();
        let mut body = sent(silent(), &session, None);
        assert!(futures_util::poll!(body.frame()).is_pending());
        session.ended.cancel();
        assert_ends(&frame(&mut body).await, Code::Unauthenticated);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_at_its_time_whether_it_pauses_or_not() {
        let end = (Instant::now() + Duration::from_secs(1), End::Deadline);
        let mut talking = sent(endless(), &session(), Some(end));
        let mut mute = sent(silent(), &session(), Some(end));
        assert!(frame(&mut talking).await.is_data());
        assert!(frame(&mut talking).await.is_data());
        assert_ends(&frame(&mut mute).await, Code::DeadlineExceeded);
        assert_eq!(Instant::now(), end.0);
        time::advance(Duration::from_millis(1)).await;
        assert_ends(&frame(&mut talking).await, Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn the_answer_of_what_was_done_is_told_all_the_same() {
        let session = session();
        session.ended.cancel();
        let done = Full::new(Bytes::from_static(b"done")).map_err(|never| match never {});
        let mut body = sent(done, &session, Some((Instant::now(), End::Deadline)));
        assert!(frame(&mut body).await.is_data());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn an_answer_gives_its_place_back_before_its_end_is_known() {
        let quotas = Quotas::new(1, None);
        let authority = Authority::of_nobody();
        let place = || quotas.admit(Some(&authority), None);
        let with_place = |inner, place| {
            let call = CallMetrics::default().open(None);
            ResponseBody::new(inner, Bounds::default(), place, call)
        };
        let refusal = with_place(Inner::empty(), place().unwrap());
        assert!(refusal.is_end_stream());
        let one = Full::new(Bytes::from_static(b"one")).map_err(|never: Infallible| match never {});
        let mut body = with_place(Inner::new(one), place().unwrap());
        assert!(frame(&mut body).await.is_data());
        assert!(place().is_err());
        assert!(body.frame().await.is_none());
        assert!(place().is_ok());
        drop((refusal, body));
    }
}
