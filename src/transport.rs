//! A channel that recognizes responses which are not gRPC.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use tonic::{
    Code, Status,
    body::Body,
    codegen::BoxFuture,
    transport::{self, Channel, Endpoint},
};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Service;

/// Most bytes of a response that are searched for a title.
const MAX_PAGE: usize = 16 * 1024;
/// Longest wait for them.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// Most characters of a page that an error quotes.
const MAX_QUOTE: usize = 80;

/// A channel to a service. A response that is not gRPC, such as the HTML page of a proxy or a
/// captive portal, is reported with its HTTP status and host. Without this check, tonic
/// reports the first byte of such a page as an invalid compression flag.
#[derive(Clone, Debug)]
pub struct CheckedChannel {
    channel: Channel,
    host: Arc<str>,
}

impl CheckedChannel {
    /// Connects with the first call.
    pub fn connect_lazy(endpoint: &Endpoint) -> Self {
        Self {
            channel: endpoint.connect_lazy(),
            host: host(endpoint.uri()).into(),
        }
    }
}

/// Host and port.
fn host(uri: &Uri) -> String {
    let port = match (uri.port_u16(), uri.scheme_str()) {
        (Some(port), _) => port,
        (None, Some("https")) => 443,
        (None, _) => 80,
    };
    format!("{}:{port}", uri.host().unwrap_or_default())
}

impl Service<Request<Body>> for CheckedChannel {
    type Response = Response<Body>;
    type Error = transport::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = self.channel.call(request);
        let host = Arc::clone(&self.host);
        Box::pin(async move {
            let response = response.await?;
            if is_grpc(response.status(), response.headers()) {
                return Ok(response);
            }
            Ok(not_grpc(&host, response).await.into_http())
        })
    }
}

/// A gRPC response always has the HTTP status 200, whatever its gRPC status, and a gRPC
/// content type.
fn is_grpc(status: StatusCode, headers: &HeaderMap) -> bool {
    let kind = content_type(headers).to_ascii_lowercase();
    let is_kind = kind
        .strip_prefix("application/grpc")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']));
    status == StatusCode::OK && is_kind
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

async fn not_grpc(host: &str, response: Response<Body>) -> Status {
    let (head, body) = response.into_parts();
    let page = Limited::new(body, MAX_PAGE).collect();
    let page = match tokio::time::timeout(PAGE_TIMEOUT, page).await {
        Ok(Ok(page)) => page.to_bytes(),
        Ok(Err(_)) | Err(_) => Default::default(),
    };
    let status = head.status;
    let media_type = content_type(&head.headers).split(';').next();
    let kind = match media_type.unwrap_or_default().trim() {
        "" => "no content type",
        kind => kind,
    };
    let mut message = format!(
        "{host} answered with HTTP {} ({}), which is not gRPC: is there a proxy in between?",
        status.as_u16(),
        printable(kind)
    );
    if let Some(quote) = quote(&String::from_utf8_lossy(&page)) {
        message.push_str(&format!(" It says: {quote}"));
    }
    let metadata = HashMap::from([
        ("host".to_owned(), host.to_owned()),
        ("http_status".to_owned(), status.as_u16().to_string()),
    ]);
    let details = ErrorDetails::with_error_info("NOT_GRPC", "pipewright.client", metadata);
    Status::with_error_details(code(status), message, details)
}

/// As in the gRPC specification's table of HTTP statuses (http-grpc-status-mapping.md).
fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// The title of a page, or else its first line that is not markup.
fn quote(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title>").map(|at| at + "<title>".len());
    let title = title.and_then(|start| {
        let end = lower[start..].find("</title>")?;
        Some(&page[start..start + end])
    });
    let mut lines = page.lines().map(str::trim);
    let line = title.or_else(|| lines.find(|line| !line.is_empty() && !line.starts_with('<')))?;
    let quote = printable(line.trim());
    (!quote.is_empty()).then_some(quote)
}

/// One line without control characters, cut at [`MAX_QUOTE`].
fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .map(|char| if char.is_whitespace() { ' ' } else { char })
        .filter(|char| !char.is_control())
        .take(MAX_QUOTE + 1)
        .collect();
    if shown.chars().count() > MAX_QUOTE {
        shown.pop();
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, kind: &str, page: &'static str) -> Response<Body> {
        let mut response = Response::builder().status(status);
        if !kind.is_empty() {
            response = response.header("content-type", kind);
        }
        response.body(Body::new(page.to_owned())).unwrap()
    }

    async fn told(status: u16, kind: &str, page: &'static str) -> (Code, String) {
        let status = not_grpc("ci.example.com:443", response(status, kind, page)).await;
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "NOT_GRPC");
        assert_eq!(info.metadata["host"], "ci.example.com:443");
        (status.code(), status.message().to_owned())
    }

    #[tokio::test]
    async fn a_page_is_reported_with_its_status_and_title() {
        let page = "<html><head><Title>\n 502 Bad\x1b[31m Gateway </title></head><body>x";
        let (code, message) = told(502, "text/html", page).await;
        assert_eq!(code, Code::Unavailable);
        assert_eq!(
            message,
            "ci.example.com:443 answered with HTTP 502 (text/html), which is not gRPC: is there a \
             proxy in between? It says: 502 Bad[31m Gateway"
        );
        let (code, message) = told(413, "text/plain; charset=utf-8", "\n\ntoo large\nmore").await;
        assert_eq!(code, Code::Unknown);
        assert!(message.ends_with("It says: too large"), "{message}");
        let (_, message) = told(200, "", "").await;
        assert!(message.contains("HTTP 200 (no content type)"), "{message}");
        assert!(message.ends_with("in between?"), "{message}");
    }

    #[tokio::test]
    async fn codes_are_those_of_the_specification() {
        for (status, expected) in [
            (200, Code::Unknown),
            (302, Code::Unknown),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (429, Code::Unavailable),
            (500, Code::Unknown),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
        ] {
            assert_eq!(told(status, "text/html", "").await.0, expected, "{status}");
        }
    }

    #[test]
    fn grpc_is_known_by_status_and_content_type() {
        for (status, kind, expected) in [
            (200, "application/grpc", true),
            (200, "application/grpc+proto", true),
            (200, "Application/gRPC;charset=utf-8", true),
            (200, "application/grpc-web", false),
            (200, "text/html", false),
            (200, "", false),
            (503, "application/grpc", false),
        ] {
            let response = response(status, kind, "");
            let known = is_grpc(response.status(), response.headers());
            assert_eq!(known, expected, "{status} {kind}");
        }
    }

    #[test]
    fn a_long_line_is_cut() {
        let quoted = quote(&"a".repeat(200)).unwrap();
        assert_eq!(quoted.chars().count(), MAX_QUOTE);
        assert!(quoted.ends_with('…'));
        assert_eq!(quote("<p>\n<b>\n"), None);
    }

    #[test]
    fn the_host_has_its_port() {
        let of = |uri: &'static str| host(&Uri::from_static(uri));
        assert_eq!(of("https://ci.example.com"), "ci.example.com:443");
        assert_eq!(of("http://[::1]"), "[::1]:80");
        assert_eq!(of("http://127.0.0.1:50051"), "127.0.0.1:50051");
    }
}
