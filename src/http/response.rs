use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

/// The body of a response: the inner service's, or text of this layer.
#[derive(Debug)]
pub enum AnyBody<B> {
    Inner(B),
    Text(Full<Bytes>),
}

impl<B> Default for AnyBody<B> {
    fn default() -> Self {
        Self::Text(Full::default())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for AnyBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.get_mut() {
            Self::Inner(body) => Pin::new(body).poll_frame(cx),
            Self::Text(text) => Pin::new(text)
                .poll_frame(cx)
                .map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Inner(body) => body.is_end_stream(),
            Self::Text(text) => text.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Inner(body) => body.size_hint(),
            Self::Text(text) => text.size_hint(),
        }
    }
}

/// A response in plain text.
pub(super) fn text<B>(status: StatusCode, text: impl Into<String>) -> Response<AnyBody<B>> {
    let body = AnyBody::Text(Full::new(Bytes::from(text.into())));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
