use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use metrics::counter;

use crate::telemetry::metrics::REFUSALS;

use super::answer::{Answer, text};

/// Why a request is not passed on.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What the refusal says in plain HTTP.
    pub status: StatusCode,
    /// What a program can match on.
    pub reason: &'static str,
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
            status: StatusCode::SERVICE_UNAVAILABLE,
            reason: "TOO_MANY_CONNECTIONS",
            message: format!(
                "at most {limit} connections{of_what} may be open; the setting is {setting}"
            ),
            setting,
        }
    }

    /// The answer, in the terms of the request: gRPC, gRPC-Web or plain HTTP.
    pub(super) fn answer<B>(&self, request: &HeaderMap, refuse: Refuse) -> Response<Answer<B>> {
        counter!(REFUSALS, "reason" => self.reason).increment(1);
        let content_type = request.get(header::CONTENT_TYPE);
        let Some(content_type) = content_type.filter(|kind| is_grpc(kind)) else {
            return text(self.status, format!("{}\n", self.message));
        };
        let mut response = Response::new(Answer::default());
        *response.headers_mut() = refuse(self);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type.clone());
        response
    }
}

fn is_grpc(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"application/grpc")
}
