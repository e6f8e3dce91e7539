//! What every call passes on its way to its service, and its answer on the way back.

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
    telemetry::traces,
};

use super::{
    access::{self, Method, Rule},
    status,
};
use audit::Subjects;
use call_metrics::CallMetrics;
use deadline::End;
use quota::{Place, Quotas};
use request_body::{MessageLimit, Reading};
use response_body::Bounds;

pub use credentials::presented;
pub use encoding::WebText;
pub use request_body::RequestBody;
pub use response_body::ResponseBody;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The gate in front of the services. Each call is counted, has until its deadline, and is
/// let in if its caller is known, may call the method and is within its quota; what changes
/// something is told to the log. The request may be so large and take so long; the answer
/// ends when its caller's credentials do, and at an age. Refusals have details, whoever
/// makes them.
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
}

/// What calls are held to.
#[derive(Clone, Copy, Debug)]
pub struct MiddlewareLimits {
    /// Calls of a principal that are open at once.
    pub max_streams_per_principal: usize,
    /// Calls of a principal in a second; as many as it likes if none.
    pub max_requests_per_second: Option<u32>,
    /// How old streams become, from the beginning of their call; as old as they like if none.
    pub max_stream_age: Option<Duration>,
    /// How long a request may take to arrive.
    pub message_timeout: Duration,
    /// Bytes of a request's message, of methods that allow no less.
    pub max_message: u64,
}

/// What a call brings along from the gate, in its request's extensions.
#[derive(Clone)]
pub(super) struct Passage {
    /// None for a caller who did not have to be known.
    pub(super) authority: Option<Authority>,
    pub(super) trace: Option<Arc<TraceContext>>,
    /// For a call that is audited.
    subjects: Option<Subjects>,
}

/// An answer of a service, and what was taken up for it.
struct Answered {
    response: Response<Body>,
    session: Option<Arc<Session>>,
    place: Option<Place>,
}

impl<S> Middleware<S> {
    /// A gate in front of services, which knows callers from this authenticator.
    pub fn new(services: S, authenticator: Arc<Authenticator>, limits: MiddlewareLimits) -> Self {
        let (max_open, per_second) = (
            limits.max_streams_per_principal,
            limits.max_requests_per_second,
        );
        let rules = Rules {
            metrics: CallMetrics::default(),
            authenticator,
            quotas: Quotas::new(max_open, per_second),
            limits,
        };
        Self {
            services,
            rules: Arc::new(rules),
        }
    }

    /// The answer to a call. What is known of its connection is expected as [`Peer`] in the
    /// request's extensions.
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
        Arc::clone(&self.rules).answer(self.services.clone(), request)
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
    async fn answer<S, B>(
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
        // Awaited where it is made: one that is moved first has its place twice.
        let answered = self
            .in_time(services, request, method, trace, began)
            .instrument(span)
            .await;
        call.answered(began.elapsed());
        match answered {
            Ok((
                Answered {
                    response,
                    session,
                    place,
                },
                end,
            )) => {
                call.look_at(response.headers());
                response.map(|body| ResponseBody::new(body, Bounds::new(session, end), place, call))
            }
            Err(refusal) => {
                call.end(&refusal);
                refusal.into_http().map(|()| ResponseBody::nothing(call))
            }
        }
    }

    /// An answer within the time that its client waits for it, and when it has to end.
    async fn in_time<S, B>(
        &self,
        services: S,
        request: Request<B>,
        method: Option<&Method>,
        trace: Option<Arc<TraceContext>>,
        began: Instant,
    ) -> Result<(Answered, Option<(Instant, End)>), Status>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<Body>, Error = Infallible>,
    {
        let deadline = deadline::of(request.headers(), began)?;
        let answered = match deadline {
            None => self.let_in(services, request, method, trace).await?,
            Some(deadline) => timeout_at(deadline, self.let_in(services, request, method, trace))
                .await
                .map_err(|_| End::Deadline.status())??,
        };
        let age = self
            .limits
            .max_stream_age
            .map(|age| (began + age.min(deadline::MAX), End::Age));
        let deadline = deadline.map(|deadline| (deadline, End::Deadline));
        let end = deadline.into_iter().chain(age).min_by_key(|(at, _)| *at);
        Ok((answered, end))
    }

    /// The services' answer to a call that may come to them.
    async fn let_in<S, B>(
        &self,
        mut services: S,
        request: Request<B>,
        method: Option<&Method>,
        trace: Option<Arc<TraceContext>>,
    ) -> Result<Answered, Status>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<Body>, Error = Infallible>,
    {
        let (mut head, body) = request.into_parts();
        let (method, authority, session) = self.admit(method, &head).await?;
        let peer = head.extensions.get::<Peer>().cloned();
        let place = self.quotas.admit(authority.as_ref(), peer.as_ref())?;
        let passage = Passage {
            authority,
            trace,
            // After the quota: whoever is over it cannot fill the log.
            subjects: method.is_audited.then(Subjects::default),
        };
        head.extensions.insert(passage.clone());
        let is_single = !method.is_conversation();
        let reading = Reading {
            limit: MessageLimit::of(method, self.limits.max_message),
            is_single,
            is_text: head.extensions.remove::<WebText>().is_some(),
            is_gzip: takes_gzip(&mut head.headers),
            timeout: is_single.then_some(self.limits.message_timeout),
        };
        let request = Request::from_parts(head, RequestBody::new(body, reading));
        let answer = services.call(request);
        let Ok(response) = match &session {
            None => answer.await,
            Some(session) => tokio::select! {
                // What is done is told.
                biased;
                answer = answer => answer,
                () = session.ended.cancelled() => return Err(status::credentials_ended()),
            },
        };
        // A refusal before any message has its status among the headers.
        let told = Status::from_header_map(response.headers());
        if let Some(subjects) = &passage.subjects {
            let outcome = told.as_ref().map_or(Code::Ok, Status::code);
            audit::tell(
                method,
                passage.authority.as_ref(),
                peer.as_ref(),
                subjects,
                outcome,
            );
        }
        match told {
            Some(told) if told.code() != Code::Ok && told.details().is_empty() => {
                Err(status::of_the_transport(&told, method.path))
            }
            _ => Ok(Answered {
                response,
                session,
                place,
            }),
        }
    }

    /// Who calls, and what: known, allowed by the table of methods, and for how long.
    async fn admit<'a>(
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
        let session = session.map_err(status::not_known)?;
        // First who calls and then what, so that strangers do not learn which methods
        // there are.
        let method = method.ok_or_else(|| status::method_unknown(head.uri.path()))?;
        let authority = method.rule.admit(&session.principal)?;
        Ok((method, Some(authority), Some(session)))
    }
}

/// Whether messages may be compressed with gzip. The services behind see none of it.
fn takes_gzip(headers: &mut HeaderMap) -> bool {
    const ENCODING: &str = "grpc-encoding";
    let is_gzip = headers
        .get(ENCODING)
        .is_some_and(|encoding| encoding == "gzip");
    if is_gzip {
        headers.remove(ENCODING);
    }
    is_gzip
}

/// The trace that a call is part of, by its headers.
fn trace_context(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::read(text(TRACEPARENT)?, text(TRACESTATE).unwrap_or_default())
}
