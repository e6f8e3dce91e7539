//! `lease_service.proto`, for both sides: a runner encodes requests and decodes responses, the
//! service the reverse. A runner's requests are validated, as a runner is an untrusted client;
//! the service's responses are trusted.

mod requests;
mod responses;
mod runner_side;
mod work;

pub use requests::{
    Renewal, append_from_proto, completion_from_proto, deregistration_from_proto,
    registration_from_proto, renewal_from_proto, work_request_from_proto,
};
pub use responses::{acquired_to_proto, appended_to_proto, registered_to_proto, renewed_to_proto};
pub use runner_side::{
    Acquisition, acquired_from_proto, append_to_proto, appended_from_proto, completion_to_proto,
    deregistration_to_proto, registered_from_proto, registration_to_proto, renewal_to_proto,
    renewed_from_proto, work_request_to_proto,
};

use super::runner_v1 as v1;
use crate::domain::{Outcome, lease::Directive};

fn directive_from_proto(directive: i32) -> Directive {
    match v1::Directive::try_from(directive) {
        Ok(v1::Directive::Cancel) => Directive::Cancel,
        // As the API documents, unknown values mean `Continue`.
        Ok(v1::Directive::Unspecified | v1::Directive::Continue) | Err(_) => Directive::Continue,
    }
}

fn directive_to_proto(directive: Directive) -> v1::Directive {
    match directive {
        Directive::Continue => v1::Directive::Continue,
        Directive::Cancel => v1::Directive::Cancel,
    }
}

/// None if it is unspecified. An outcome that this version does not know is a
/// `RunnerError`.
fn outcome_from_proto(outcome: i32) -> Option<Outcome> {
    Some(match v1::Outcome::try_from(outcome) {
        Ok(v1::Outcome::Unspecified) => return None,
        Ok(v1::Outcome::Succeeded) => Outcome::Succeeded,
        Ok(v1::Outcome::CommandFailed) => Outcome::CommandFailed,
        Ok(v1::Outcome::TimedOut) => Outcome::TimedOut,
        Ok(v1::Outcome::Cancelled) => Outcome::Cancelled,
        Ok(v1::Outcome::CheckoutFailed) => Outcome::CheckoutFailed,
        Ok(v1::Outcome::Returned) => Outcome::Returned,
        Ok(v1::Outcome::RunnerError) | Err(_) => Outcome::RunnerError,
    })
}

fn outcome_to_proto(outcome: Outcome) -> v1::Outcome {
    match outcome {
        Outcome::Succeeded => v1::Outcome::Succeeded,
        Outcome::CommandFailed => v1::Outcome::CommandFailed,
        Outcome::TimedOut => v1::Outcome::TimedOut,
        Outcome::Cancelled => v1::Outcome::Cancelled,
        Outcome::CheckoutFailed => v1::Outcome::CheckoutFailed,
        Outcome::RunnerError => v1::Outcome::RunnerError,
        Outcome::Returned => v1::Outcome::Returned,
    }
}

/// The text of a field; none if it is empty, which means unset.
fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Converts a size or an offset. It fits: the domain's values come from the wire or count
/// bytes on a disk.
fn offset_to_proto(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
