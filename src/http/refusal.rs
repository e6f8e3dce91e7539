use http::{HeaderMap, Response, StatusCode, header};
use metrics::counter;

use crate::telemetry::metrics::REFUSALS;

use super::{
    response::{AnyBody, text},
    router::{Kind, kind},
};

/// The rules by which this layer refuses requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Connections,
    Hosts,
    Origins,
}

impl Rule {
    /// The machine-readable reason of a refusal.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Connections => "TOO_MANY_CONNECTIONS",
            Self::Hosts => "HOST_NOT_ALLOWED",
            Self::Origins => "ORIGIN_NOT_ALLOWED",
        }
    }

    /// The status of a refusal in plain HTTP.
    fn status(self) -> StatusCode {
        match self {
            Self::Connections => StatusCode::SERVICE_UNAVAILABLE,
            Self::Hosts => StatusCode::MISDIRECTED_REQUEST,
            Self::Origins => StatusCode::FORBIDDEN,
        }
    }
}

/// Why a request is refused before it reaches the services.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub rule: Rule,
    pub message: String,
    /// The name of the setting that controls the rule.
    pub setting: &'static str,
}

/// Encodes a refusal in gRPC, as the headers of a trailers-only response.
pub type Refuse = fn(&Refusal) -> HeaderMap;

impl Refusal {
    pub(super) fn too_many_connections(of_what: &str, setting: &'static str, limit: usize) -> Self {
        Self {
            rule: Rule::Connections,
            message: format!(
                "at most {limit} connections{of_what} may be open; the setting is {setting}"
            ),
            setting,
        }
    }

    /// The response, in the protocol of the request: gRPC, gRPC-Web or plain HTTP.
    pub(super) fn response<B>(&self, request: &HeaderMap, refuse: Refuse) -> Response<AnyBody<B>> {
        counter!(REFUSALS, "reason" => self.rule.reason()).increment(1);
        let content_type = request.get(header::CONTENT_TYPE);
        let Some(content_type) = content_type.filter(|value| kind(Some(value)) != Kind::Other)
        else {
            return text(self.rule.status(), format!("{}\n", self.message));
        };
        let mut response = Response::new(AnyBody::default());
        *response.headers_mut() = refuse(self);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type.clone());
        response
    }
}
