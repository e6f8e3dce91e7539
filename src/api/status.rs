//! Maps errors to `tonic::Status`.
//!
//! Every error status has an `ErrorInfo` of the domain `pipewright` with a machine-readable
//! reason, and the error details that fit the reason.

use std::collections::HashMap;

use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt};

use crate::{
    auth::{AuthError, Role},
    domain::{Violation, cut},
    engine::Error,
    store::{Account, OverLimit},
};

use super::reason::Reason;

const DOMAIN: &str = "pipewright";
/// Name of the metadata of ALREADY_EXISTS.
const EXISTING_ID: &str = "existing_id";
/// What all violations of a refusal may have, in bytes: more than about 4 KiB of
/// details break clients.
const MAX_VIOLATIONS: usize = 3 * 1024;
/// Most bytes of each field path, description, name and message. They may repeat text of
/// the caller.
const MAX_TEXT: usize = 256;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let facts = facts(&error);
        let (reason, details) = classify(error);
        let name = reason.name();
        match reason.code() {
            // The message is a field, and so quoted: it may repeat the caller's text.
            Some(Code::Internal) => {
                tracing::error!(reason = name, error = message, "call failed");
            }
            _ => tracing::debug!(reason = name, error = message, "call refused"),
        }
        refuse_with(reason, message, details, facts)
    }
}

/// The metadata of an error: the id of what is there already, so that a program can go on
/// with it; the budget that is used up.
fn facts(error: &Error) -> HashMap<String, String> {
    let facts = match error {
        Error::NameTaken { owner, .. } => vec![(EXISTING_ID, owner.to_string())],
        // The name of a project is its id.
        Error::ProjectExists(name) => vec![(EXISTING_ID, name.clone())],
        Error::OverBudget(OverLimit { limit, used, .. }) => vec![
            ("budget", limit.account.kind().to_owned()),
            ("limit_bytes", limit.bytes.to_string()),
            ("used_bytes", used.to_string()),
        ],
        _ => return HashMap::new(),
    };
    let facts = facts.into_iter();
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A refusal because of the request's fields.
pub(super) fn invalid(violations: Vec<Violation>) -> Status {
    Error::Invalid(violations).into()
}

/// INVALID_ARGUMENT because of one field.
pub(super) fn invalid_field(field: &str, description: impl Into<String>) -> Status {
    invalid(vec![Violation::new(field, description)])
}

/// INVALID_ARGUMENT for a page token of another list.
pub(super) fn page_token_mismatch() -> Status {
    let description = "is not from a page of a list with these filters; leave it empty to start";
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("page_token", description);
    let message = format!("page_token {description}");
    refuse(Reason::PageTokenMismatch, message, details)
}

/// The status of a failed authentication. It does not reveal what is wrong with the
/// credentials.
pub(super) fn unauthenticated(error: AuthError) -> Status {
    match error {
        AuthError::Missing | AuthError::Invalid => {
            let message = "the call has no valid credentials; send 'authorization: Bearer TOKEN', \
                 'authorization: Basic BASE64(USER:PASSWORD)' or a client certificate";
            let details = ErrorDetails::new();
            refuse(Reason::Unauthenticated, message.to_owned(), details)
        }
        AuthError::TooManyFailures { retry_after, limit } => {
            let limit =
                format!("at most {limit} in a minute; the setting is max_failed_logins_per_minute");
            let message = format!("{error}, {limit}; wait, or call with a token");
            let mut details = quota("the caller's address".to_owned(), limit);
            details.set_retry_info(Some(retry_after));
            refuse(Reason::TooManyFailedLogins, message, details)
        }
        AuthError::Busy { retry_after } => {
            let message = format!("{error}; try again");
            let details = ErrorDetails::with_retry_info(Some(retry_after));
            refuse(Reason::LoginBusy, message, details)
        }
    }
}

/// The status that ends an open call whose credentials were revoked, changed or expired.
pub(super) fn credentials_ended() -> Status {
    refuse(
        Reason::CredentialsEnded,
        "the credentials of this call were revoked, changed, or have expired".to_owned(),
        ErrorDetails::new(),
    )
}

/// PERMISSION_DENIED for a caller who lacks a role.
pub(super) fn role_required(needed: Role, place: &str) -> Status {
    refuse(
        Reason::RoleRequired,
        format!("this needs the role {needed} in {place}"),
        ErrorDetails::new(),
    )
}

/// UNIMPLEMENTED for a method that does not exist.
pub(super) fn method_unknown(path: &str) -> Status {
    refuse(
        Reason::MethodUnknown,
        format!("the method {path} does not exist; reflection lists all methods"),
        ErrorDetails::new(),
    )
}

/// Adds details to a status of the transport below the services, which has none. `path` is
/// the method that was called.
pub(super) fn from_transport(received: &Status, path: &str) -> Status {
    let message = received.message().to_owned();
    let reason = match received.code() {
        // tonic's codec: an encoding that it does not support.
        Code::Unimplemented if message.contains("compressed") => Reason::EncodingUnsupported,
        Code::Unimplemented => return method_unknown(path),
        // tonic's codec: a message over the limit, and bytes that cannot be decoded.
        Code::OutOfRange => Reason::MessageTooLarge,
        Code::Internal if message.contains("decode") => Reason::MessageMalformed,
        _ => Reason::Transport,
    };
    let code = reason.code().unwrap_or(received.code());
    let mut status = status(code, reason, message, ErrorDetails::new(), HashMap::new());
    if reason == Reason::EncodingUnsupported {
        // Required by the gRPC protocol, so that the client can choose another encoding.
        let metadata = status.metadata_mut();
        metadata.insert("grpc-accept-encoding", MetadataValue::from_static("gzip"));
    }
    status
}

fn refuse(reason: Reason, message: String, details: ErrorDetails) -> Status {
    refuse_with(reason, message, details, HashMap::new())
}

/// A status whose `ErrorInfo` has `facts` as its metadata.
pub(super) fn refuse_with(
    reason: Reason,
    message: String,
    details: ErrorDetails,
    facts: HashMap<String, String>,
) -> Status {
    let code = reason.code().unwrap_or(Code::Unknown);
    status(code, reason, message, details, facts)
}

fn status(
    code: Code,
    reason: Reason,
    message: String,
    mut details: ErrorDetails,
    facts: HashMap<String, String>,
) -> Status {
    details.set_error_info(reason.name(), DOMAIN, facts);
    Status::with_error_details(code, shown(&message), details)
}

fn classify(error: Error) -> (Reason, ErrorDetails) {
    match error {
        Error::Invalid(violations) => (Reason::InvalidFields, bad_request(violations)),
        Error::RequestIdReused => (
            Reason::RequestIdReused,
            bad_request(vec![Violation::new(
                "request_id",
                "was already used for a different request; use a new UUID",
            )]),
        ),
        Error::ProjectNotFound(name) => (Reason::ProjectNotFound, resource("Project", name)),
        Error::ProjectExists(name) => (Reason::ProjectExists, resource("Project", name)),
        Error::ProjectNotEmpty { name, .. } => {
            let must = "the project must have no pipelines and no jobs";
            (Reason::ProjectNotEmpty, precondition("PROJECT", name, must))
        }
        Error::ProjectPermanent(name) => {
            let must = "the project must not be the default project";
            (
                Reason::ProjectPermanent,
                precondition("PROJECT", name, must),
            )
        }
        Error::ProjectEtagMismatch { name, current } => {
            let must = format!("the etag must be '{current}'");
            (Reason::EtagMismatch, precondition("ETAG", name, must))
        }
        Error::RoleLacking { .. } => (Reason::RoleRequired, ErrorDetails::new()),
        Error::PipelineNotFound(id) => (Reason::PipelineNotFound, resource("Pipeline", id)),
        Error::RevisionNotFound { id, revision } => (
            Reason::RevisionNotFound,
            resource("Pipeline", format!("{id}@{revision}")),
        ),
        Error::JobNotFound(id) => (Reason::JobNotFound, resource("Job", id)),
        Error::RunnerNotFound(id) => (Reason::RunnerNotFound, resource("Runner", id)),
        Error::StageNotFound { job, what } => (
            Reason::StageNotFound,
            resource("StageRun", format!("{job}: {what}")),
        ),
        Error::NameTaken { project, name, .. } => (
            Reason::PipelineNameTaken,
            resource("Pipeline", format!("{project}/{name}")),
        ),
        Error::EtagMismatch { id, current } => {
            let must = format!("the etag must be '{current}'");
            (Reason::EtagMismatch, precondition("ETAG", id, must))
        }
        Error::PipelineActive { id, .. } => {
            let must = "the pipeline must have no active jobs, or force must be set";
            (
                Reason::PipelineHasActiveJobs,
                precondition("JOBS", id, must),
            )
        }
        Error::JobEnded { id, .. } => {
            let must = "the job must not have ended";
            (Reason::JobEnded, precondition("STATE", id, must))
        }
        Error::JobNotEnded(id) => {
            let must = "the job must have ended";
            (Reason::JobNotEnded, precondition("STATE", id, must))
        }
        Error::PipelineDeleted(id) => {
            let must = "the job's pipeline must exist";
            (Reason::PipelineDeleted, precondition("PIPELINE", id, must))
        }
        Error::NothingToRetry(id) => {
            let must = "a stage must have failed, or been cancelled or skipped for it";
            (Reason::NoStageToRun, precondition("STAGES", id, must))
        }
        Error::TooManyActiveJobs { id, limit } => {
            let limit = format!("at most {limit} active jobs of a pipeline");
            (Reason::TooManyActiveJobs, quota(id, limit))
        }
        Error::QueueFull { limit } => {
            let limit = format!("at most {limit} stages wait for a runner");
            (Reason::QueueFull, quota("queue".to_owned(), limit))
        }
        Error::OverBudget(over) => {
            let OverLimit { limit, .. } = over;
            let subject = match limit.account {
                Account::Store => "service".to_owned(),
                Account::Project(name) => format!("project/{name}"),
                Account::Principal(name) => format!("caller/{name}"),
            };
            let limit = format!("at most {} bytes of stored values", limit.bytes);
            (Reason::MemoryBudgetExceeded, quota(shown(&subject), limit))
        }
        Error::OffsetPastEnd { size, .. } => {
            let must = format!("must be at most the log's present size, {size}");
            let details = bad_request(vec![Violation::new("offset", must)]);
            (Reason::OffsetPastEnd, details)
        }
        Error::EncryptionKeyRequired => {
            let must = "the service must have an encryption key (encryption_key_file)";
            let details = precondition("ENCRYPTION_KEY", "service".to_owned(), must);
            (Reason::EncryptionKeyRequired, details)
        }
        Error::Contended => (Reason::Contended, ErrorDetails::new()),
        Error::Stopping => (Reason::ServerStopping, ErrorDetails::new()),
        Error::StorageFull(_) => (Reason::StorageFull, ErrorDetails::new()),
        Error::Store(_) => (Reason::StoreFailed, ErrorDetails::new()),
        Error::Log(_) => (Reason::LogUnreadable, ErrorDetails::new()),
    }
}

fn bad_request(violations: Vec<Violation>) -> ErrorDetails {
    let mut left = MAX_VIOLATIONS;
    let shown = violations.into_iter().map_while(|violation| {
        let field = shown(&violation.field);
        let description = shown(&violation.description);
        left = left.checked_sub(field.len() + description.len())?;
        Some(FieldViolation::new(field, description))
    });
    ErrorDetails::with_bad_request(shown.collect::<Vec<_>>())
}

fn resource(kind: &str, name: String) -> ErrorDetails {
    ErrorDetails::with_resource_info(format!("pipewright.v1.{kind}"), shown(&name), "", "")
}

/// Text of the caller, cut to [`MAX_TEXT`].
pub(super) fn shown(text: &str) -> String {
    match cut(text, MAX_TEXT) {
        whole if whole.len() == text.len() => whole.to_owned(),
        beginning => format!("{beginning}..."),
    }
}

pub(super) fn precondition(kind: &str, subject: String, must: impl Into<String>) -> ErrorDetails {
    let violation = PreconditionViolation::new(kind, subject, must);
    ErrorDetails::with_precondition_failure(vec![violation])
}

pub(super) fn quota(subject: String, limit: String) -> ErrorDetails {
    ErrorDetails::with_quota_failure(vec![QuotaViolation::new(subject, limit)])
}

#[cfg(test)]
mod tests {
    use crate::store::StoreError;

    use super::*;

    #[test]
    fn a_store_failure_is_internal_and_a_conflict_is_aborted() {
        let failed = Error::from(StoreError::transient("the disk is on fire"));
        let status = Status::from(failed);
        assert_eq!(status.code(), Code::Internal);
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "STORE_FAILED");
        let no_key = Status::from(Error::EncryptionKeyRequired);
        assert_eq!(no_key.code(), Code::FailedPrecondition);
        let details = no_key.get_error_details();
        assert_eq!(
            details.error_info().unwrap().reason,
            "ENCRYPTION_KEY_REQUIRED"
        );
        let contended = Status::from(Error::Contended);
        assert_eq!(contended.code(), Code::Aborted);
    }
}
