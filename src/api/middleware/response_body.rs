//! Sends a response, and ends it early with a status when its session ends or its time is
//! over.

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
    super::status::credentials_ended, call_metrics::OpenCall, deadline::End, quota::Permit,
};

/// The conditions that end a response early, even if it has more messages to send.
#[derive(Default)]
pub(super) struct Bounds {
    /// None for a call without authentication.
    session: Option<Arc<Session>>,
    end: Option<(Instant, End)>,
    /// The alarms are created when the response first waits, which a unary response never
    /// does.
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

    /// The status with which the response must end now, if any.
    fn reached(&self) -> Option<Status> {
        if let Some(session) = &self.session
            && session.ended.is_cancelled()
        {
            return Some(credentials_ended());
        }
        let (at, end) = self.end?;
        (at <= Instant::now()).then(|| end.status())
    }

    /// Waits until the response must end.
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

/// The body of a response.
pub struct ResponseBody {
    inner: Inner,
    bounds: Bounds,
    /// Counts the call for its caller's quota until the response has ended.
    permit: Option<Permit>,
    call: OpenCall,
    has_begun: bool,
    is_over: bool,
}

impl ResponseBody {
    pub(super) fn new(
        inner: Inner,
        bounds: Bounds,
        permit: Option<Permit>,
        call: OpenCall,
    ) -> Self {
        Self {
            bounds,
            // The body of a trailers-only response is never polled, so its permit is released
            // here.
            permit: permit.filter(|_| !inner.is_end_stream()),
            inner,
            call,
            has_begun: false,
            is_over: false,
        }
    }

    /// The body of a trailers-only response.
    pub(super) fn empty(call: OpenCall) -> Self {
        Self::new(Inner::empty(), Bounds::default(), None, call)
    }

    /// Ends the response with a status. If the status cannot be encoded as trailers, the
    /// client sees a broken stream.
    fn end(&mut self, status: &Status) -> Option<Frame<Bytes>> {
        self.is_over = true;
        self.permit = None;
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
                // The first message is always sent: it may be the only one, with the result of
                // a completed call.
                let is_first = !mem::replace(&mut this.has_begun, true);
                // Checked for each message, so that a stream that is never pending ends, too.
                let reached = (!is_first).then(|| this.bounds.reached()).flatten();
                let Some(status) = reached else {
                    return Poll::Ready(Some(Ok(frame)));
                };
                status
            }
            Poll::Ready(last) => {
                // Released before the client sees the end, as its next call may follow
                // immediately.
                this.permit = None;
                if let Some(Ok(frame)) = &last
                    && let Some(trailers) = frame.trailers_ref()
                {
                    this.call.record_status(trailers);
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
    async fn a_response_that_is_never_pending_ends_with_its_session() {
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
    async fn an_idle_response_ends_with_its_session() {
        let session = session();
        let mut body = sent(silent(), &session, None);
        assert!(futures_util::poll!(body.frame()).is_pending());
        session.ended.cancel();
        assert_ends(&frame(&mut body).await, Code::Unauthenticated);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_and_busy_responses_end_at_the_deadline() {
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
    async fn the_first_message_is_sent_after_session_and_deadline_ended() {
        let session = session();
        session.ended.cancel();
        let done = Full::new(Bytes::from_static(b"done")).map_err(|never| match never {});
        let mut body = sent(done, &session, Some((Instant::now(), End::Deadline)));
        assert!(frame(&mut body).await.is_data());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_response_releases_its_permit_before_the_client_sees_its_end() {
        let quotas = Quotas::new(1, None);
        let authority = Authority::of_nobody();
        let permit = || quotas.admit(Some(&authority), None);
        let with_permit = |inner, permit| {
            let call = CallMetrics::default().open(None);
            ResponseBody::new(inner, Bounds::default(), permit, call)
        };
        let refusal = with_permit(Inner::empty(), permit().unwrap());
        assert!(refusal.is_end_stream());
        let one = Full::new(Bytes::from_static(b"one")).map_err(|never: Infallible| match never {});
        let mut body = with_permit(Inner::new(one), permit().unwrap());
        assert!(frame(&mut body).await.is_data());
        assert!(permit().is_err());
        assert!(body.frame().await.is_none());
        assert!(permit().is_ok());
        drop((refusal, body));
    }
}
