//! The plain HTTP pages: health, readiness and metrics.

use std::convert::Infallible;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use tokio::sync::watch;
use tower::{ServiceExt, util::BoxCloneSyncService};

use super::response::{AnyBody, text};

/// A page that another module renders. It may also refuse the request.
pub type Page = BoxCloneSyncService<Request<()>, Response<String>, Infallible>;

const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");
const WHAT_THIS_IS: &str = "This is Pipewright, a gRPC service. Call it with a gRPC client, such as \
    `grpcurl HOST:PORT list`, with gRPC-Web, or with `pipewright --server URL`. \
    In plain HTTP there are /healthz, /readyz and /metrics.\n";

/// Handles requests that are not gRPC calls.
pub(super) struct Plain {
    pub(super) ready: watch::Receiver<bool>,
    pub(super) metrics: Option<Page>,
}

impl Plain {
    pub(super) async fn handle<B>(&self, request: Parts) -> Response<AnyBody<B>> {
        let is_head = request.method == Method::HEAD;
        if request.method != Method::GET && !is_head {
            return refuse_method(&request.method, &request.headers);
        }
        let mut response = match request.uri.path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" if *self.ready.borrow() => text(StatusCode::OK, "ok\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
            "/metrics" => self.metrics(request).await,
            _ => text(StatusCode::NOT_FOUND, WHAT_THIS_IS),
        };
        if is_head {
            *response.body_mut() = AnyBody::default();
        }
        response
    }

    async fn metrics<B>(&self, request: Parts) -> Response<AnyBody<B>> {
        let Some(page) = self.metrics.clone() else {
            return text(StatusCode::NOT_FOUND, "the service exposes no metrics\n");
        };
        let request = Request::from_parts(request, ());
        let Ok(rendered) = page.oneshot(request).await;
        let (parts, body) = rendered.into_parts();
        let mut response = text(parts.status, body);
        let has_content_type = parts.headers.contains_key(header::CONTENT_TYPE);
        response.headers_mut().extend(parts.headers);
        if !has_content_type {
            response.headers_mut().insert(header::CONTENT_TYPE, METRICS);
        }
        response
    }
}

/// Explains how to send a gRPC call: a POST needs a gRPC content type, and other methods are
/// not allowed.
fn refuse_method<B>(method: &Method, headers: &HeaderMap) -> Response<AnyBody<B>> {
    if method == Method::POST {
        let sent = headers.get(header::CONTENT_TYPE);
        let sent = sent.map_or("none".to_owned(), |kind| format!("{kind:?}"));
        let message = format!(
            "The content type is {sent}; a call has application/grpc over HTTP/2, or \
             application/grpc-web+proto. {WHAT_THIS_IS}"
        );
        return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, WHAT_THIS_IS);
    let allowed = HeaderValue::from_static("GET, HEAD, POST");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}
