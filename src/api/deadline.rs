//! How long a call may take: as long as its client says, and a stream no longer than
//! the service lets it.

use std::{
    collections::HashMap,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation};
use tower::{Layer, Service};

use super::{ending::last_frame, reason::Reason, status::refuse_with};

const TIMEOUT: &str = "grpc-timeout";
/// What nobody waits for; a longer time-out is none.
const MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Ends calls when the time of their `grpc-timeout` is over, and streams at an age.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    max_stream_age: Option<Duration>,
}

impl DeadlineLayer {
    /// A layer that lets streams grow so old.
    pub fn new(max_stream_age: Option<Duration>) -> Self {
        Self { max_stream_age }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadlines<S>;

    fn layer(&self, inner: S) -> Deadlines<S> {
        Deadlines {
            inner,
            max_stream_age: self.max_stream_age,
        }
    }
}

/// The service that [`DeadlineLayer`] makes.
#[derive(Clone)]
pub struct Deadlines<S> {
    inner: S,
    max_stream_age: Option<Duration>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Deadlines<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ResBody: Default + Send + 'static,
{
    type Response = Response<Timed<ResBody>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let deadline = match request.headers().get(TIMEOUT).map(timeout) {
            None => None,
            Some(Some(timeout)) => Some(Instant::now() + timeout.min(MAX)),
            Some(None) => return Box::pin(async { Ok(malformed().into_http()) }),
        };
        let max_stream_age = self.max_stream_age;
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = match deadline {
                None => response.await?,
                Some(deadline) => match timeout_at(deadline, response).await {
                    Ok(response) => response?,
                    Err(_) => return Ok(End::Deadline.status().into_http()),
                },
            };
            let age = max_stream_age.map(|age| (Instant::now() + age.min(MAX), End::Age));
            let deadline = deadline.map(|deadline| (deadline, End::Deadline));
            let end = deadline.into_iter().chain(age).min_by_key(|(at, _)| *at);
            Ok(response.map(|body| Timed::new(body, end)))
        })
    }
}

/// Why a call is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Deadline,
    Age,
}

impl End {
    fn status(self) -> Status {
        let (reason, message) = match self {
            Self::Deadline => (
                Reason::DeadlineExceeded,
                "the call took longer than its grpc-timeout",
            ),
            Self::Age => (
                Reason::StreamAged,
                "the stream is as old as streams become; resume it on a new one; the \
                 setting is max_stream_age",
            ),
        };
        let (details, facts) = (ErrorDetails::new(), HashMap::new());
        refuse_with(reason, message.to_owned(), details, facts)
    }
}

/// A response that ends in time.
#[derive(Default)]
pub struct Timed<B> {
    inner: B,
    /// What ends it, and when.
    end: Option<(Instant, End)>,
    /// Wakes it then. Made when there is something to wait for, which no response of
    /// a single message has.
    alarm: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

impl<B> Timed<B> {
    fn new(inner: B, end: Option<(Instant, End)>) -> Self {
        Self {
            inner,
            end,
            alarm: None,
            is_over: false,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Timed<B> {
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
        let Some((at, end)) = this.end else {
            return Pin::new(&mut this.inner).poll_frame(cx);
        };
        // A stream that always has something to say ends, too.
        if Instant::now() < at {
            if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
            ready!(alarm.as_mut().poll(cx));
        }
        this.is_over = true;
        Poll::Ready(last_frame(&end.status()).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            None => self.inner.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

/// At most eight digits and a unit, as the specification of gRPC has it.
pub(super) fn timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// A client that says how long it waits must not be taken for one that waits for ever.
fn malformed() -> Status {
    let description = "must be at most eight digits and one of H, M, S, m, u and n";
    let violation = FieldViolation::new(TIMEOUT, description);
    refuse_with(
        Reason::TimeoutMalformed,
        format!("{TIMEOUT} {description}"),
        ErrorDetails::with_bad_request(vec![violation]),
        HashMap::new(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_specified() {
        let read = |text: &'static str| timeout(&HeaderValue::from_static(text));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("2M"), Some(Duration::from_secs(120)));
        assert_eq!(read("3S"), Some(Duration::from_secs(3)));
        assert_eq!(read("4m"), Some(Duration::from_millis(4)));
        assert_eq!(read("5u"), Some(Duration::from_micros(5)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert!(read("99999999H").is_some_and(|long| long > MAX));
        for wrong in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "123456789S",
            "1 S",
            "1.5S",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
