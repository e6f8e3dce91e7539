//! Checks a request and routes it to the gRPC service or to the plain HTTP pages.

use std::{convert::Infallible, error::Error, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use tower::{Layer, ServiceExt, service_fn};

use crate::auth::Peer;

use super::{
    host::Hosts,
    origin::Origins,
    plain::Plain,
    refusal::{Refusal, Refuse},
    response::{AnyBody, text},
};

/// Serves gRPC and gRPC-Web calls.
pub trait Calls: Send + Sync + 'static {
    /// The body of a response.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Serves a gRPC call.
    fn grpc(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static;

    /// Serves a gRPC-Web call. `is_text` means that the bodies are base64.
    fn grpc_web(
        &self,
        request: Request<Incoming>,
        is_text: bool,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static;
}

/// The future of a response. Boxed, because the state of a waiting call is larger than the
/// state that sends its response.
pub(super) type ResponseFuture<B> = BoxFuture<'static, Result<Response<AnyBody<B>>, Infallible>>;

/// The router that all connections share.
pub(super) struct Router<S> {
    pub(super) calls: S,
    pub(super) hosts: Hosts,
    pub(super) origins: Origins,
    pub(super) plain: Plain,
    pub(super) refuse: Refuse,
}

impl<S: Calls> Router<S> {
    pub(super) fn handle(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
        peer: &Peer,
    ) -> ResponseFuture<S::Body> {
        if let Err(refusal) = self.check(&request) {
            let response = refusal.response(request.headers(), self.refuse);
            return Box::pin(async { Ok(response) });
        }
        request.extensions_mut().insert(peer.clone());
        if !request.headers().contains_key(header::ORIGIN) {
            return self.dispatch(request);
        }
        let router = Arc::clone(self);
        let dispatch = service_fn(move |request| router.dispatch(request));
        Box::pin(self.origins.cors.layer(dispatch).oneshot(request))
    }

    fn check(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        self.hosts.check(request)?;
        self.origins.check(request.headers())
    }

    fn dispatch(self: &Arc<Self>, request: Request<Incoming>) -> ResponseFuture<S::Body> {
        let refusal = match kind(request.headers().get(header::CONTENT_TYPE)) {
            Kind::Other => {
                let router = Arc::clone(self);
                let (parts, _) = request.into_parts();
                return Box::pin(async move { Ok(router.plain.handle(parts).await) });
            }
            Kind::Grpc | Kind::GrpcWeb | Kind::GrpcWebText if request.method() != Method::POST => {
                text(StatusCode::METHOD_NOT_ALLOWED, "a gRPC call is a POST\n")
            }
            Kind::Grpc if request.version() != Version::HTTP_2 => text(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "gRPC needs HTTP/2, but this request is HTTP/1; is there a proxy without HTTP/2? \
                 gRPC-Web works with HTTP/1\n",
            ),
            Kind::Grpc => return boxed(self.calls.grpc(request)),
            Kind::GrpcWeb => return boxed(self.calls.grpc_web(request, false)),
            Kind::GrpcWebText => return boxed(self.calls.grpc_web(request, true)),
        };
        Box::pin(async { Ok(refusal) })
    }
}

/// Maps the response with a combinator: an async block would reserve space for the call's
/// future twice.
fn boxed<B: Send + 'static>(
    call: impl Future<Output = Response<B>> + Send + 'static,
) -> ResponseFuture<B> {
    Box::pin(call.map(|response| Ok(response.map(AnyBody::Inner))))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Grpc,
    GrpcWeb,
    /// With bodies in base64.
    GrpcWebText,
    Other,
}

/// The protocol of a request, by its content type. Media types are case-insensitive, and
/// parameters are ignored (RFC 9110, 8.3.1).
pub(super) fn kind(content_type: Option<&HeaderValue>) -> Kind {
    let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
    let end = content_type.iter().position(|byte| *byte == b';');
    let media_type = content_type[..end.unwrap_or(content_type.len())].trim_ascii();
    match &media_type.to_ascii_lowercase()[..] {
        b"application/grpc-web" | b"application/grpc-web+proto" => Kind::GrpcWeb,
        b"application/grpc-web-text" | b"application/grpc-web-text+proto" => Kind::GrpcWebText,
        b"application/grpc" => Kind::Grpc,
        other if other.starts_with(b"application/grpc+") => Kind::Grpc,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_selects_the_protocol() {
        for (sent, expected) in [
            ("application/grpc", Kind::Grpc),
            ("application/grpc+proto", Kind::Grpc),
            ("application/grpc;charset=utf-8", Kind::Grpc),
            ("application/grpc-web", Kind::GrpcWeb),
            ("application/grpc-web-text+proto", Kind::GrpcWebText),
            ("application/grpc-web-text", Kind::GrpcWebText),
            ("APPLICATION/GRPC", Kind::Grpc),
            ("Application/gRPC+Proto ; charset=utf-8", Kind::Grpc),
            ("Application/Grpc-Web+Proto;a=b", Kind::GrpcWeb),
            ("application/grpcx", Kind::Other),
            ("application/grpc-web+json", Kind::Other),
            ("application/json", Kind::Other),
        ] {
            let value = HeaderValue::from_static(sent);
            assert_eq!(kind(Some(&value)), expected, "{sent}");
        }
        assert_eq!(kind(None), Kind::Other);
    }
}
