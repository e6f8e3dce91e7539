//! Failures for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt};

use crate::{
    cli::{exit::Failure, present::json},
    proto::code_name,
};

/// What `-o json` says of a failure, as the last line of standard error.
#[derive(Serialize)]
struct Line {
    error: Error,
}

/// Every field is there, also where it is empty, so that a program need not ask.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Error {
    code: &'static str,
    reason: String,
    message: String,
    metadata: BTreeMap<String, String>,
    field_violations: Vec<Violation>,
}

#[derive(Serialize)]
struct Violation {
    field: String,
    description: String,
}

impl From<FieldViolation> for Violation {
    fn from(violation: FieldViolation) -> Self {
        Self {
            field: violation.field,
            description: violation.description,
        }
    }
}

/// The failure on one line; nothing where nobody reads on.
pub(crate) fn line(failure: &Failure) -> Option<String> {
    let error = match failure {
        Failure::Status(status) | Failure::Hinted(status, _) => of_status(status),
        Failure::Usage(_) | Failure::Invalid(_) => of_words(Code::InvalidArgument, failure)?,
        Failure::NotFound(_) => of_words(Code::NotFound, failure)?,
        Failure::Conflict(_) => of_words(Code::FailedPrecondition, failure)?,
        Failure::NotAllowed(_) => of_words(Code::PermissionDenied, failure)?,
        Failure::Service(_) | Failure::Output(_) => of_words(Code::Unavailable, failure)?,
    };
    Some(json::compact_value(&Line { error }))
}

fn of_status(status: &Status) -> Error {
    let details = status.get_error_details();
    let mut error = Error {
        code: code_name(status.code()),
        message: status.message().to_owned(),
        ..Error::default()
    };
    if let Some(info) = details.error_info() {
        error.reason.clone_from(&info.reason);
        error.metadata = info.metadata.clone().into_iter().collect();
    }
    if let Some(request) = details.bad_request() {
        let violations = request.field_violations.iter();
        error.field_violations = violations.cloned().map(Violation::from).collect();
    }
    error
}

/// What this program found out by itself.
fn of_words(code: Code, failure: &Failure) -> Option<Error> {
    Some(Error {
        code: code_name(code),
        message: failure.message()?,
        ..Error::default()
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, io};

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn what_the_service_said_is_told_by_field() {
        let mut details = ErrorDetails::new();
        let metadata = HashMap::from([("etag".to_owned(), "a-2".to_owned())]);
        details
            .set_error_info("ETAG_MISMATCH", "pipewright", metadata)
            .add_bad_request_violation("pipeline.etag", "is not 'a-2'");
        let status = Status::with_error_details(Code::Aborted, "was changed", details);
        insta::assert_snapshot!(line(&status.into()).unwrap());
    }

    #[test]
    fn what_was_never_sent_looks_the_same() {
        let failure = Failure::NotFound("no pipeline is called 'a\u{9b}'".to_owned());
        insta::assert_snapshot!(line(&failure).unwrap());
        let closed = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert!(line(&closed).is_none());
    }
}
