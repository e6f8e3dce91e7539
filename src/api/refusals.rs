use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::Status;
use tower::{Layer, Service};

use super::status;

/// Gives the refusals that tonic makes itself (an unknown method, a message that is
/// too large or no message at all) the details that all others have.
#[derive(Clone, Copy, Debug)]
pub struct RefusalLayer;

impl<S> Layer<S> for RefusalLayer {
    type Service = Refusals<S>;

    fn layer(&self, inner: S) -> Refusals<S> {
        Refusals { inner }
    }
}

/// The service that [`RefusalLayer`] makes.
#[derive(Clone)]
pub struct Refusals<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Refusals<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ResBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let uri = request.uri().clone();
        let response = self.inner.call(request);
        Box::pin(async move { Ok(complete(response.await?, uri.path())) })
    }
}

/// A refusal before any message has its status among the headers.
fn complete<B: Default>(response: Response<B>, path: &str) -> Response<B> {
    match Status::from_header_map(response.headers()) {
        Some(told) if told.code() != tonic::Code::Ok && told.details().is_empty() => {
            status::of_the_transport(&told, path).into_http()
        }
        _ => response,
    }
}
