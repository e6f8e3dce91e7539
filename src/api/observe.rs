use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, Service};
use tracing::{Instrument, Span};

use crate::{
    domain::TraceContext,
    telemetry::{
        metrics::{REFUSALS, RPC_DURATION, RPC_OPEN, RPC_REQUESTS},
        traces,
    },
    wire::code_name,
};

use super::access;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Counts calls: how many, how they ended, how long until they were answered, and how
/// many are open. The outermost of the layers that know gRPC, so that nothing is missed.
#[derive(Clone)]
pub struct ObserveLayer {
    /// One a row of the table of methods, and one for what is not in it: callers cannot
    /// make up series.
    numbers: Arc<[OnceLock<Numbers>]>,
}

/// Counts by what is installed when calls come.
impl Default for ObserveLayer {
    fn default() -> Self {
        let rows = access::names().map(|_| OnceLock::new());
        Self {
            numbers: rows.chain([OnceLock::new()]).collect(),
        }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that [`ObserveLayer`] makes.
#[derive(Clone)]
pub struct Observed<S> {
    inner: S,
    layer: ObserveLayer,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Observed<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ResBody: Body,
{
    type Response = Response<ObservedBody<ResBody>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let began = Instant::now();
        let mut call = OpenCall::new(&self.layer, request.uri().path());
        let span = trace(&call, request.headers_mut());
        let answer = self.inner.call(request).instrument(span);
        Box::pin(async move {
            let response = answer.await?;
            call.numbers().duration.record(began.elapsed());
            call.look_at(response.headers());
            Ok(response.map(|body| ObservedBody { body, call }))
        })
    }
}

/// The span of a call within the trace that its headers tell of, which they tell
/// from now on, if somebody collects it.
fn trace(call: &OpenCall, headers: &mut HeaderMap) -> Span {
    let parent = trace_context(headers);
    let numbers = call.numbers();
    let span = traces::call(numbers.service, numbers.method, parent.as_ref());
    if let Some(own) = traces::context(&span) {
        for (name, value) in [(TRACEPARENT, own.parent()), (TRACESTATE, own.state())] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
    }
    span
}

/// The trace that a call is part of, by its headers.
pub(super) fn trace_context(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::read(text(TRACEPARENT)?, text(TRACESTATE).unwrap_or_default())
}

/// The numbers of a method. To find them by their labels takes longer than some calls
/// do, so it is done once.
struct Numbers {
    service: &'static str,
    method: &'static str,
    open: Gauge,
    duration: Histogram,
    /// By the code with which they ended.
    answered: [OnceLock<Counter>; CODES],
}

/// From OK, 0, to UNAUTHENTICATED, 16.
const CODES: usize = 17;

impl Numbers {
    fn new(row: usize) -> Self {
        let name = access::names().nth(row);
        let (service, method) = name.unwrap_or(("unknown", "unknown"));
        Self {
            service,
            method,
            open: gauge!(RPC_OPEN, "service" => service, "method" => method),
            duration: histogram!(RPC_DURATION, "service" => service, "method" => method),
            answered: [const { OnceLock::new() }; CODES],
        }
    }

    fn count(&self, code: Code) {
        let (service, method) = (self.service, self.method);
        let answered = self.answered[code as usize].get_or_init(|| {
            counter!(RPC_REQUESTS, "service" => service, "method" => method, "code" => code_name(code))
        });
        answered.increment(1);
    }
}

/// A call, until the last of its answer is sent or nobody wants it any more.
struct OpenCall {
    numbers: Arc<[OnceLock<Numbers>]>,
    row: usize,
    /// How it ended, once it has.
    code: Option<Code>,
}

impl OpenCall {
    fn new(layer: &ObserveLayer, path: &str) -> Self {
        let call = Self {
            row: access::row(path).unwrap_or(layer.numbers.len() - 1),
            numbers: Arc::clone(&layer.numbers),
            code: None,
        };
        call.numbers().open.increment(1.0);
        call
    }

    fn numbers(&self) -> &Numbers {
        self.numbers[self.row].get_or_init(|| Numbers::new(self.row))
    }

    /// Reads the status where there is one: among the headers of a refusal, or in the
    /// trailers.
    fn look_at(&mut self, headers: &HeaderMap) {
        let Some(status) = Status::from_header_map(headers) else {
            return;
        };
        self.code = Some(status.code());
        let is_refusal = matches!(
            status.code(),
            Code::ResourceExhausted | Code::Unauthenticated | Code::PermissionDenied
        );
        if let (true, Some(info)) = (is_refusal, status.get_details_error_info()) {
            counter!(REFUSALS, "reason" => info.reason).increment(1);
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        // Without a status the caller went away first.
        let code = self.code.unwrap_or(Code::Cancelled);
        self.numbers().open.decrement(1.0);
        self.numbers().count(code);
    }
}

pin_project! {
    /// The body of an answer that is observed.
    pub struct ObservedBody<B> {
        #[pin]
        body: B,
        call: OpenCall,
    }
}

impl<B: Body> Body for ObservedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            this.call.look_at(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
