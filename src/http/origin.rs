//! Which browser origins may call (CORS).

use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::refusal::{Refusal, Rule};

/// How long a browser may cache a preflight response.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Request headers that gRPC-Web clients send, and response headers that they must be able
/// to read.
const SENT: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-user-agent"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
const READ: [HeaderName; 3] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

pub(super) struct Origins {
    allowed: Vec<String>,
    /// Adds the CORS headers; only for requests that passed [`Origins::check`].
    pub(super) cors: CorsLayer,
}

impl Origins {
    pub(super) fn new(allowed: &[String]) -> Self {
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::mirror_request())
            .allow_methods([Method::GET, Method::HEAD, Method::POST])
            .allow_headers(SENT)
            .expose_headers(READ)
            .max_age(MAX_AGE);
        Self {
            allowed: allowed.to_vec(),
            cors,
        }
    }

    /// Only browsers send an origin: that of the page. A request without one passes.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let sent = headers.get_all(header::ORIGIN).iter();
        let mut refused = sent.filter(|origin| {
            let matches =
                |allowed: &String| allowed == "*" || allowed.as_bytes() == origin.as_bytes();
            !self.allowed.iter().any(matches)
        });
        match refused.next() {
            None => Ok(()),
            Some(origin) => Err(Refusal {
                rule: Rule::Origins,
                message: format!(
                    "the origin {origin:?} is not allowed; the setting is allowed_origins"
                ),
                setting: "allowed_origins",
            }),
        }
    }
}
