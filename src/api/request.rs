//! Helpers for all requests: ids, the caller, and the idempotency key.

use std::str::FromStr;

use prost::Message;
use sha2::{Digest, Sha256};
use tokio::task;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{
    auth::Authority,
    domain::Violation,
    engine::{Call, RequestIdentity},
};

use super::{middleware::CallContext, status::invalid_field};

/// A request with an idempotency key, the `request_id`.
pub(super) trait Repeatable: Message {
    /// The key that the caller chose, empty for none. None for a `validate_only` call, whose
    /// key is neither read nor stored.
    fn request_id(&self) -> Option<&str>;
}

/// Yields before expensive work, so that other calls of the connection run first. A call
/// that runs in the connection's task becomes a task of its own when it waits; a call that
/// already is a task goes to the end of the scheduler's queue.
pub(super) async fn yield_to_others() {
    task::yield_now().await;
}

/// Splits a request into its caller's context and its message.
pub(super) fn open<M>(request: Request<M>) -> (Call, M) {
    let (_, mut extensions, message) = request.into_parts();
    let context = extensions.remove::<CallContext>();
    let (authority, trace) = context.map_or((None, None), |it| (it.authority, it.trace));
    let call = Call {
        // A call that did not pass the middleware is authorized for nothing.
        authority: authority.unwrap_or_else(Authority::of_nobody),
        request: None,
        trace,
    };
    (call, message)
}

/// As [`open`], for a call with an idempotency key.
pub(super) fn open_repeatable<M: Repeatable>(request: Request<M>) -> Result<(Call, M), Status> {
    let (call, message) = open(request);
    let request = match message.request_id() {
        None | Some("") => None,
        Some(text) => Some(RequestIdentity {
            id: id::<Uuid>("request_id", text)?,
            fingerprint: Sha256::digest(message.encode_to_vec()).into(),
        }),
    };
    Ok((Call { request, ..call }, message))
}

/// Parses a required id.
pub(super) fn id<Id: FromStr>(field: &str, text: &str) -> Result<Id, Status> {
    if text.is_empty() {
        return Err(invalid_field(field, "is required; give the id, a UUID"));
    }
    text.parse()
        .map_err(|_| invalid_field(field, "is not a UUID"))
}

/// Checks that a number is not negative; none for 0.
pub(super) fn non_negative(field: &str, number: i64) -> Result<Option<u64>, Status> {
    match u64::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(invalid_field(
            field,
            format!("is {number}; must not be negative"),
        )),
    }
}

/// Prefixes the field paths of violations with the path of their message.
pub(super) fn within(prefix: &str, violations: Vec<Violation>) -> Vec<Violation> {
    let named = |violation: Violation| Violation {
        field: match violation.field.as_str() {
            "" => prefix.to_owned(),
            field => format!("{prefix}.{field}"),
        },
        ..violation
    };
    violations.into_iter().map(named).collect()
}

/// The value of an optional filter; none if it is empty.
pub(super) fn filter(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
