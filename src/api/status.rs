//! The one table from errors to `tonic::Status`.
//!
//! Every refusal carries an `ErrorInfo` of the domain `pipewright` whose reason a
//! program can match on, and the detail that fits it.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt};

use crate::{
    auth::{AuthError, Role},
    domain::{Violation, cut},
    engine::Error,
};

const DOMAIN: &str = "pipewright";
/// What all violations of a refusal may have, in bytes: more than about 4 KiB of
/// details break clients.
const MAX_VIOLATIONS: usize = 3 * 1024;
/// A field's path, a description, a name or a message may repeat text of the caller;
/// each is cut to so many bytes.
const MAX_TEXT: usize = 256;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (code, reason, details) = classify(error);
        match code {
            // As a field, and so quoted: it may repeat names of the caller's.
            Code::Internal => tracing::error!(reason, error = message, "call failed"),
            _ => tracing::debug!(reason, error = message, "call refused"),
        }
        refuse(code, reason, message, details)
    }
}

/// A refusal because of the request's fields.
pub(super) fn invalid(violations: Vec<Violation>) -> Status {
    Error::Invalid(violations).into()
}

/// A refusal because of one field.
pub(super) fn invalid_field(field: &str, description: impl Into<String>) -> Status {
    invalid(vec![Violation::new(field, description)])
}

/// A refusal of a page token that is not for this list.
pub(super) fn page_token_mismatch() -> Status {
    let description = "is not from a page of a list with these filters; leave it empty to start";
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("page_token", description);
    let message = format!("page_token {description}");
    refuse(
        Code::InvalidArgument,
        "PAGE_TOKEN_MISMATCH",
        message,
        details,
    )
}

/// A refusal of a caller who is not known. It is the same for all that is wrong with
/// credentials.
pub(super) fn not_known(error: AuthError) -> Status {
    match error {
        AuthError::Missing | AuthError::Invalid => {
            let message = "the call has no valid credentials; send 'authorization: Bearer TOKEN', \
                 'authorization: Basic BASE64(USER:PASSWORD)' or a client certificate";
            let details = ErrorDetails::new();
            refuse(
                Code::Unauthenticated,
                "UNAUTHENTICATED",
                message.to_owned(),
                details,
            )
        }
        AuthError::TooManyFailures { retry_after, limit } => {
            let limit =
                format!("at most {limit} in a minute; the setting is max_failed_logins_per_minute");
            let message = format!("{error}, {limit}; wait, or call with a token");
            let mut details = quota("the caller's address".to_owned(), limit);
            details.set_retry_info(Some(retry_after));
            let reason = "TOO_MANY_FAILED_LOGINS";
            refuse(Code::ResourceExhausted, reason, message, details)
        }
        AuthError::Busy { retry_after } => {
            let message = format!("{error}; try again");
            let details = ErrorDetails::with_retry_info(Some(retry_after));
            refuse(Code::Unavailable, "LOGIN_BUSY", message, details)
        }
    }
}

/// The end of a call whose caller's credentials were taken away or changed meanwhile.
pub(super) fn credentials_ended() -> Status {
    refuse(
        Code::Unauthenticated,
        "CREDENTIALS_ENDED",
        "the credentials of this call were taken away, changed, or are over".to_owned(),
        ErrorDetails::new(),
    )
}

/// A refusal of a caller who lacks a role.
pub(super) fn role_required(needed: Role, place: &str) -> Status {
    refuse(
        Code::PermissionDenied,
        "ROLE_REQUIRED",
        format!("this needs the role {needed} in {place}"),
        ErrorDetails::new(),
    )
}

/// A refusal of a call of a method that there is not.
pub(super) fn method_unknown(path: &str) -> Status {
    refuse(
        Code::Unimplemented,
        "METHOD_UNKNOWN",
        format!("there is no method {path}; reflection lists those there are"),
        ErrorDetails::new(),
    )
}

/// A refusal that came without details, from below the services. `path` is the
/// method that was called.
pub(super) fn of_the_transport(told: &Status, path: &str) -> Status {
    let message = told.message().to_owned();
    let (code, reason, message) = match told.code() {
        Code::Unimplemented => return method_unknown(path),
        // The codec's words for a message over the limit, and for bytes that are no message.
        Code::OutOfRange => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message),
        Code::Internal if message.contains("decode") => {
            (Code::InvalidArgument, "MESSAGE_MALFORMED", message)
        }
        code => (code, "TRANSPORT", message),
    };
    refuse(code, reason, message, ErrorDetails::new())
}

fn refuse(code: Code, reason: &str, message: String, details: ErrorDetails) -> Status {
    refuse_with(code, reason, message, details, HashMap::new())
}

/// A refusal with facts for programs in its `ErrorInfo`.
pub(super) fn refuse_with(
    code: Code,
    reason: &str,
    message: String,
    mut details: ErrorDetails,
    facts: HashMap<String, String>,
) -> Status {
    details.set_error_info(reason, DOMAIN, facts);
    Status::with_error_details(code, shown(&message), details)
}

fn classify(error: Error) -> (Code, &'static str, ErrorDetails) {
    match error {
        Error::Invalid(violations) => (
            Code::InvalidArgument,
            "INVALID_FIELDS",
            bad_request(violations),
        ),
        Error::RequestIdReused => (
            Code::InvalidArgument,
            "REQUEST_ID_REUSED",
            bad_request(vec![Violation::new(
                "request_id",
                "was already used for a different request; use a new UUID",
            )]),
        ),
        Error::ProjectNotFound(name) => (
            Code::NotFound,
            "PROJECT_NOT_FOUND",
            resource("Project", name),
        ),
        Error::RoleLacking { .. } => (Code::PermissionDenied, "ROLE_REQUIRED", ErrorDetails::new()),
        Error::PipelineNotFound(id) => (
            Code::NotFound,
            "PIPELINE_NOT_FOUND",
            resource("Pipeline", id),
        ),
        Error::RevisionNotFound { id, revision } => (
            Code::NotFound,
            "REVISION_NOT_FOUND",
            resource("Pipeline", format!("{id}@{revision}")),
        ),
        Error::JobNotFound(id) => (Code::NotFound, "JOB_NOT_FOUND", resource("Job", id)),
        Error::RunnerNotFound(id) => (Code::NotFound, "RUNNER_NOT_FOUND", resource("Runner", id)),
        Error::StageNotFound { job, what } => (
            Code::NotFound,
            "STAGE_NOT_FOUND",
            resource("StageRun", format!("{job}: {what}")),
        ),
        Error::NameTaken { project, name } => (
            Code::AlreadyExists,
            "PIPELINE_NAME_TAKEN",
            resource("Pipeline", format!("{project}/{name}")),
        ),
        Error::EtagMismatch { id, current } => {
            let must = format!("the etag must be '{current}'");
            (
                Code::Aborted,
                "ETAG_MISMATCH",
                precondition("ETAG", id, must),
            )
        }
        Error::PipelineActive { id, .. } => {
            let must = "the pipeline must have no active jobs, or force must be set";
            (
                Code::FailedPrecondition,
                "PIPELINE_HAS_ACTIVE_JOBS",
                precondition("JOBS", id, must),
            )
        }
        Error::JobEnded { id, .. } => {
            let must = "the job must not have ended";
            (
                Code::FailedPrecondition,
                "JOB_ENDED",
                precondition("STATE", id, must),
            )
        }
        Error::JobNotEnded(id) => {
            let must = "the job must have ended";
            (
                Code::FailedPrecondition,
                "JOB_NOT_ENDED",
                precondition("STATE", id, must),
            )
        }
        Error::PipelineDeleted(id) => {
            let must = "the job's pipeline must exist";
            (
                Code::FailedPrecondition,
                "PIPELINE_DELETED",
                precondition("PIPELINE", id, must),
            )
        }
        Error::NothingToRetry(id) => {
            let must = "a stage must have failed, or been cancelled or skipped for it";
            (
                Code::FailedPrecondition,
                "NO_STAGE_TO_RUN",
                precondition("STAGES", id, must),
            )
        }
        Error::TooManyActiveJobs { id, limit } => {
            let limit = format!("at most {limit} active jobs of a pipeline");
            (
                Code::ResourceExhausted,
                "TOO_MANY_ACTIVE_JOBS",
                quota(id, limit),
            )
        }
        Error::QueueFull { limit } => {
            let limit = format!("at most {limit} stages wait for a runner");
            (
                Code::ResourceExhausted,
                "QUEUE_FULL",
                quota("queue".to_owned(), limit),
            )
        }
        Error::OffsetPastEnd { size, .. } => {
            let must = format!("must be at most the log's present size, {size}");
            let details = bad_request(vec![Violation::new("offset", must)]);
            (Code::OutOfRange, "OFFSET_PAST_END", details)
        }
        Error::Stopping => (Code::Unavailable, "SERVER_STOPPING", ErrorDetails::new()),
        Error::Store(_) => (Code::Internal, "STORE_FAILED", ErrorDetails::new()),
        Error::Log(_) => (Code::Internal, "LOG_UNREADABLE", ErrorDetails::new()),
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

/// Text of the caller, no longer than it may be repeated.
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
