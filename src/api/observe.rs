use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use metrics::{counter, gauge, histogram};
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
#[derive(Clone, Copy, Debug)]
pub struct ObserveLayer;

impl<S> Layer<S> for ObserveLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner }
    }
}

/// The service that [`ObserveLayer`] makes.
#[derive(Clone)]
pub struct Observed<S> {
    inner: S,
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
        let mut call = OpenCall::of(request.uri().path());
        let span = trace(&call, request.headers_mut());
        let answer = self.inner.call(request).instrument(span);
        Box::pin(async move {
            let response = answer.await?;
            histogram!(RPC_DURATION, "service" => call.service, "method" => call.method)
                .record(began.elapsed());
            call.look_at(response.headers());
            Ok(response.map(|body| ObservedBody { body, call }))
        })
    }
}

/// The span of a call within the trace that its headers tell of, which they tell
/// from now on, if somebody collects it.
fn trace(call: &OpenCall, headers: &mut HeaderMap) -> Span {
    let parent = trace_context(headers);
    let span = traces::call(call.service, call.method, parent.as_ref());
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

/// A call, until the last of its answer is sent or nobody wants it any more.
#[derive(Debug)]
struct OpenCall {
    service: &'static str,
    method: &'static str,
    /// How it ended, once it has.
    code: Option<Code>,
}

impl OpenCall {
    /// What is not in the table goes under one name: callers cannot make up series.
    fn of(path: &str) -> Self {
        let known = access::method(path).and_then(|row| row.path[1..].split_once('/'));
        let (service, method) = known.unwrap_or(("unknown", "unknown"));
        gauge!(RPC_OPEN, "service" => service, "method" => method).increment(1.0);
        Self {
            service,
            method,
            code: None,
        }
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
        let (service, method) = (self.service, self.method);
        gauge!(RPC_OPEN, "service" => service, "method" => method).decrement(1.0);
        counter!(RPC_REQUESTS, "service" => service, "method" => method, "code" => code_name(code))
            .increment(1);
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
