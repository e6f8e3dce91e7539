//! What requests have in common: ids, who calls, and whether it is a repetition.

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

use super::{middleware::Passage, status::invalid_field};

/// A message whose call may be repeated under a request id.
pub(super) trait Repeatable: Message {
    /// The id that the caller chose, empty for none; none for a call that only
    /// checks, whose id is neither read nor kept.
    fn request_id(&self) -> Option<&str>;
}

/// Lets others on the connection have their turn, before work that takes longer than they
/// should wait: a call that waits once becomes a task of its own. One that is already is put
/// behind the others.
pub(super) async fn step_aside() {
    task::yield_now().await;
}

/// Takes a request apart into who calls and what is asked.
pub(super) fn open<M>(request: Request<M>) -> (Call, M) {
    let (_, mut extensions, message) = request.into_parts();
    let passage = extensions.remove::<Passage>();
    let (authority, trace) = passage.map_or((None, None), |it| (it.authority, it.trace));
    let call = Call {
        // What did not pass the gate may do nothing.
        authority: authority.unwrap_or_else(Authority::of_nobody),
        request: None,
        trace,
    };
    (call, message)
}

/// As [`open`], for a call that a request id makes safe to repeat.
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

/// Reads an id that must be there.
pub(super) fn id<Id: FromStr>(field: &str, text: &str) -> Result<Id, Status> {
    if text.is_empty() {
        return Err(invalid_field(field, "is required; give the id, a UUID"));
    }
    text.parse()
        .map_err(|_| invalid_field(field, "is not a UUID"))
}

/// Reads a number that must not be negative; none for 0.
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

/// Puts the path of the message before the paths of its fields.
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

/// Text of an optional filter; none when it is empty.
pub(super) fn filter(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
