use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, header};
use tonic::Status;
use tower::{Layer, Service};

use crate::auth::{Authenticator, Authority, Principal};

use super::{
    access::{self, Method, Rule},
    status,
};

/// Lets nobody in who is not known, or not allowed by the table of methods;
/// everything else is inside it. What passes carries its
/// [`Authority`](crate::auth::Authority) in the request's extensions.
#[derive(Clone)]
pub struct AuthLayer {
    authenticator: Arc<Authenticator>,
}

impl AuthLayer {
    /// A layer that asks this authenticator.
    pub fn new(authenticator: Authenticator) -> Self {
        Self {
            authenticator: Arc::new(authenticator),
        }
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
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ResBody: Default + Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let method = access::method(request.uri().path());
        if method.is_some_and(|method| method.rule == Rule::Open) {
            return Box::pin(self.inner.call(request));
        }
        let credentials = request.headers().get(header::AUTHORIZATION);
        match self
            .authenticator
            .authenticate(credentials.map(|value| value.as_bytes()))
        {
            Some(principal) => match admit(method, &principal, request.uri().path()) {
                Ok(authority) => {
                    request.extensions_mut().insert(authority);
                    Box::pin(self.inner.call(request))
                }
                Err(refusal) => Box::pin(async move { Ok(refusal.into_http()) }),
            },
            None => Box::pin(async { Ok(status::unauthenticated().into_http()) }),
        }
    }
}

fn admit(
    method: Option<&Method>,
    principal: &Arc<Principal>,
    path: &str,
) -> Result<Authority, Status> {
    let method = method.ok_or_else(|| status::method_unknown(path))?;
    method.rule.admit(principal)
}
