//! The middleware that every call and its response pass through: metrics, tracing, deadlines,
//! authentication, authorization, quotas, audit and limits.

pub(super) mod audit;
mod call_metrics;
mod credentials;
pub(super) mod deadline;
mod encoding;
mod quota;
mod request_body;
mod response_body;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response, request::Parts};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tower::Service;
use tracing::Instrument;

use crate::{
    auth::{Authenticator, Authority, Peer, Session},
    domain::TraceContext,
    engine::Durability,
    telemetry::traces,
};

use super::{
    access::{self, Method, Rule},
    status,
};
use audit::Subjects;
use call_metrics::CallMetrics;
use deadline::End;
use quota::{Permit, Quotas};
use request_body::{MessageLimit, Reading};
use response_body::Bounds;

pub use credentials::presented;
pub use encoding::WebText;
pub use request_body::RequestBody;
pub use response_body::ResponseBody;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The middleware in front of the services. It counts each call, enforces its deadline,
/// authenticates and authorizes the caller, and enforces the caller's quota. Changes are
/// written to the audit log. The size and the duration of a request are limited. A response
/// ends when the caller's credentials end, or at the maximum stream age. Every error status
/// has details, also those of the transport.
#[derive(Clone)]
pub struct Middleware<S> {
    services: S,
    rules: Arc<Rules>,
}

struct Rules {
    metrics: CallMetrics,
    authenticator: Arc<Authenticator>,
    quotas: Quotas,
    limits: MiddlewareLimits,
    durability: Durability,
}

#[derive(Clone, Copy, Debug)]
pub struct MiddlewareLimits {
    /// Concurrent calls of a principal.
    pub max_streams_per_principal: usize,
    /// Unlimited if none.
    pub max_requests_per_second: Option<u32>,
    /// From the beginning of the call; unlimited if none.
    pub max_stream_age: Option<Duration>,
    /// Time for the whole request to arrive.
    pub message_timeout: Duration,
    /// Bytes of a request message, for methods that do not have a lower limit.
    pub max_message: u64,
}

/// A request extension in which the middleware passes a call's context to its handler.
#[derive(Clone)]
pub(super) struct CallContext {
    /// None for a method that needs no authentication.
    pub(super) authority: Option<Authority>,
    pub(super) trace: Option<Arc<TraceContext>>,
    /// None if the call is not audited.
    subjects: Option<Subjects>,
}

/// A response of a service, with the session and the quota's permit of its call.
struct Served {
    response: Response<Body>,
    session: Option<Arc<Session>>,
    permit: Option<Permit>,
}

impl<S> Middleware<S> {
    pub fn new(
        services: S,
        authenticator: Arc<Authenticator>,
        limits: MiddlewareLimits,
        durability: Durability,
    ) -> Self {
        let (max_open, per_second) = (
            limits.max_streams_per_principal,
            limits.max_requests_per_second,
        );
        let rules = Rules {
            metrics: CallMetrics::default(),
            authenticator,
            quotas: Quotas::new(max_open, per_second),
            limits,
            durability,
        };
        Self {
            services,
            rules: Arc::new(rules),
        }
    }

    /// Serves a call. The connection's [`Peer`] is expected in the request's extensions.
    pub fn call<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<S, B>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send,
        S::Future: Send,
        B: Send,
    {
        Arc::clone(&self.rules).handle(self.services.clone(), request)
    }
}

impl<S, B> Service<Request<B>> for Middleware<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(Self::call(self, request).map(Ok))
    }
}

impl Rules {
    async fn handle<S, B>(
        self: Arc<Self>,
        services: S,
        request: Request<B>,
    ) -> Response<ResponseBody>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<Body>, Error = Infallible>,
    {
        let began = Instant::now();
        let row = access::row(request.uri().path());
        let mut call = self.metrics.open(row);
        let (service, name) = call.name();
        let parent = trace_context(request.headers());
        let span = traces::call(service, name, parent.as_ref());
        let trace = traces::context(&span).or(parent).map(Arc::new);
        let method = row.map(access::at);
        // Awaited in the same expression: a future that is moved first takes its space twice.
        let served = self
            .with_deadline(services, request, method, trace, began)
            .instrument(span)
            .await;
        call.responded(began.elapsed());
        match served {
            Ok((
                Served {
                    response,
                    session,
                    permit,
                },
                end,
            )) => {
                call.record_status(response.headers());
                response
                    .map(|body| ResponseBody::new(body, Bounds::new(session, end), permit, call))
            }
            Err(refusal) => {
                call.end(&refusal);
                refusal.into_http().map(|()| ResponseBody::empty(call))
            }
        }
    }

    /// Serves a call within the client's deadline. Also returns when the response must end.
    async fn with_deadline<S, B>(
        &self,
        services: S,
        request: Request<B>,
        method: Option<&Method>,
        trace: Option<Arc<TraceContext>>,
        began: Instant,
    ) -> Result<(Served, Option<(Instant, End)>), Status>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<Body>, Error = Infallible>,
    {
        let deadline = deadline::of(request.headers(), began)?;
        let served = match deadline {
            None => self.serve(services, request, method, trace).await?,
            Some(deadline) => timeout_at(deadline, self.serve(services, request, method, trace))
                .await
                .map_err(|_| End::Deadline.status())??,
        };
        let age = self
            .limits
            .max_stream_age
            .map(|age| (began + age.min(deadline::MAX), End::Age));
        let deadline = deadline.map(|deadline| (deadline, End::Deadline));
        let end = deadline.into_iter().chain(age).min_by_key(|(at, _)| *at);
        Ok((served, end))
    }

    /// Authorizes a call, applies its quota and passes it to the services.
    async fn serve<S, B>(
        &self,
        mut services: S,
        request: Request<B>,
        method: Option<&Method>,
        trace: Option<Arc<TraceContext>>,
    ) -> Result<Served, Status>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<Body>, Error = Infallible>,
    {
        let (mut head, body) = request.into_parts();
        let (method, authority, session) = self.authorize(method, &head).await?;
        let peer = head.extensions.get::<Peer>().cloned();
        let permit = self.quotas.admit(authority.as_ref(), peer.as_ref())?;
        let context = CallContext {
            authority,
            trace,
            // After the quota: a caller who exceeds it cannot fill the log.
            subjects: method.is_audited.then(Subjects::default),
        };
        head.extensions.insert(context.clone());
        let is_single = !method.is_bidirectional();
        let reading = Reading {
            limit: MessageLimit::of(method, self.limits.max_message),
            is_single,
            is_text: head.extensions.remove::<WebText>().is_some(),
            is_gzip: take_gzip(&mut head.headers),
            timeout: is_single.then_some(self.limits.message_timeout),
        };
        let request = Request::from_parts(head, RequestBody::new(body, reading));
        let seen = self.durability.mark();
        let response = services.call(request);
        let Ok(response) = match &session {
            None => response.await,
            Some(session) => tokio::select! {
                // Biased: the response to a completed call is sent even if its session ended.
                biased;
                response = response => response,
                () = session.ended.cancelled() => return Err(status::credentials_ended()),
            },
        };
        let response = match self.durability.settled(seen).await {
            Ok(()) => response,
            Err(error) => Status::from(error).into_http(),
        };
        // A trailers-only response has its status in the headers.
        let status = Status::from_header_map(response.headers());
        if let Some(subjects) = &context.subjects {
            let outcome = status.as_ref().map_or(Code::Ok, Status::code);
            audit::log(
                method,
                context.authority.as_ref(),
                peer.as_ref(),
                subjects,
                outcome,
            );
        }
        match status {
            Some(status) if status.code() != Code::Ok && status.details().is_empty() => {
                Err(status::from_transport(&status, method.path))
            }
            _ => Ok(Served {
                response,
                session,
                permit,
            }),
        }
    }

    /// Authenticates the caller and checks the rule of the method. The session says when
    /// the credentials end; none if the method needs no authentication.
    async fn authorize<'a>(
        &self,
        method: Option<&'a Method>,
        head: &Parts,
    ) -> Result<(&'a Method, Option<Authority>, Option<Arc<Session>>), Status> {
        if let Some(method) = method
            && method.rule == Rule::Open
        {
            return Ok((method, None, None));
        }
        let presented = presented(&head.headers, &head.extensions);
        let session = self.authenticator.authenticate(presented).await;
        let session = session.map_err(status::unauthenticated)?;
        // Authentication comes first, so that unauthenticated clients do not learn which
        // methods exist.
        let method = method.ok_or_else(|| status::method_unknown(head.uri.path()))?;
        let authority = method.rule.authorize(&session.principal)?;
        Ok((method, Some(authority), Some(session)))
    }
}

/// Whether messages may be compressed with gzip. Removes the header, as the services get
/// decompressed messages.
fn take_gzip(headers: &mut HeaderMap) -> bool {
    const ENCODING: &str = "grpc-encoding";
    let is_gzip = headers
        .get(ENCODING)
        .is_some_and(|encoding| encoding == "gzip");
    if is_gzip {
        headers.remove(ENCODING);
    }
    is_gzip
}

/// The trace context in the headers of a call.
fn trace_context(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::read(text(TRACEPARENT)?, text(TRACESTATE).unwrap_or_default())
}
