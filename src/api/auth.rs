use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request, Response, header, request::Parts};
use http_body::Body;
use tonic::Status;
use tower::{Layer, Service};

use crate::auth::{Authenticator, Authority, Peer, Presented, Session};

use super::{
    access::{self, Method, Rule},
    ending::Ending,
    status,
};

/// Lets nobody in who is not known, or not allowed by the table of methods;
/// everything else is inside it. What passes carries its [`Authority`] in the request's
/// extensions, where what is known of the connection is expected as [`Peer`], and ends
/// when what the caller showed is no longer good.
#[derive(Clone)]
pub struct AuthLayer {
    authenticator: Arc<Authenticator>,
}

impl AuthLayer {
    /// A layer that asks this authenticator.
    pub fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth {
            inner,
            authenticator: Arc::clone(&self.authenticator),
        }
    }
}

/// The service that [`AuthLayer`] makes.
#[derive(Clone)]
pub struct Auth<S> {
    inner: S,
    authenticator: Arc<Authenticator>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Auth<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ReqBody: Send + 'static,
    ResBody: Body<Data = Bytes> + Unpin + Default + Send + 'static,
{
    type Response = Response<Ending<ResBody>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let method = access::method(request.uri().path());
        if method.is_some_and(|method| method.rule == Rule::Open) {
            let answer = self.inner.call(request);
            return Box::pin(async { Ok(answer.await?.map(|body| Ending::new(body, None))) });
        }
        // The one that is ready answers; the other one is for the next call.
        let other = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, other);
        let authenticator = Arc::clone(&self.authenticator);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            match admit(method, &authenticator, &head).await {
                Ok((authority, session)) => {
                    head.extensions.insert(authority);
                    let answer = inner.call(Request::from_parts(head, body));
                    tokio::select! {
                        // What is done is told.
                        biased;
                        answer = answer => {
                            let session = Some(Arc::clone(&session));
                            Ok(answer?.map(|body| Ending::new(body, session)))
                        }
                        () = session.ended.cancelled() => {
                            Ok(status::credentials_ended().into_http())
                        }
                    }
                }
                Err(refusal) => Ok(refusal.into_http()),
            }
        })
    }
}

/// First who calls and then what, so that strangers do not learn which methods there are.
async fn admit(
    method: Option<&Method>,
    authenticator: &Authenticator,
    head: &Parts,
) -> Result<(Authority, Arc<Session>), Status> {
    let presented = presented(&head.headers, &head.extensions);
    let session = authenticator.authenticate(presented).await;
    let session = session.map_err(status::not_known)?;
    let method = method.ok_or_else(|| status::method_unknown(head.uri.path()))?;
    Ok((method.rule.admit(&session.principal)?, session))
}

/// What a request shows of its caller.
pub fn presented<'a>(headers: &'a HeaderMap, extensions: &'a Extensions) -> Presented<'a> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    Presented {
        authorization: match (sent.next(), sent.next()) {
            (one, None) => one.map(|value| value.as_bytes()),
            // Which of them counts is for nobody to choose: none does.
            (_, Some(_)) => Some(b""),
        },
        peer: extensions.get::<Peer>(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn of_several_headers_none_counts() {
        let mut headers = HeaderMap::new();
        let sent = |headers: &HeaderMap| {
            let extensions = Extensions::new();
            presented(headers, &extensions).authorization.map(Vec::from)
        };
        assert_eq!(sent(&headers), None);
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(sent(&headers), Some(b"Bearer a".to_vec()));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert_eq!(sent(&headers), Some(Vec::new()));
    }
}
