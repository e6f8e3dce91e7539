use http::{HeaderMap, Response, StatusCode, header};
use metrics::counter;

use crate::telemetry::metrics::REFUSALS;

use super::{
    response::{AnyBody, text},
    router::{Kind, kind},
};

/// What in front of the services refuses requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// How many connections there may be.
    Connections,
    /// Under which names the service is called.
    Hosts,
    /// Which pages of browsers may call.
    Origins,
}

impl Rule {
    /// What a program can match on.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Connections => "TOO_MANY_CONNECTIONS",
            Self::Hosts => "HOST_NOT_ALLOWED",
            Self::Origins => "ORIGIN_NOT_ALLOWED",
        }
    }

    /// What a refusal says in plain HTTP.
    fn status(self) -> StatusCode {
        match self {
            Self::Connections => StatusCode::SERVICE_UNAVAILABLE,
            Self::Hosts => StatusCode::MISDIRECTED_REQUEST,
            Self::Origins => StatusCode::FORBIDDEN,
        }
    }
}

/// Why a request is not passed on.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What refuses it.
    pub rule: Rule,
    /// What a person reads.
    pub message: String,
    /// The setting that decides it.
    pub setting: &'static str,
}

/// Says a refusal in gRPC: the headers of a response that has nothing else.
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

    /// The answer, in the terms of the request: gRPC, gRPC-Web or plain HTTP.
    pub(super) fn answer<B>(&self, request: &HeaderMap, refuse: Refuse) -> Response<AnyBody<B>> {
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
