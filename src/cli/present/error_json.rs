//! Failures for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt};

use crate::{
    cli::{exit::Failure, present::json},
    proto::code_name,
};

/// The failure with `-o json`: the last line of standard error.
#[derive(Serialize)]
struct Line {
    error: Error,
}

/// Every field is present, also if it is empty, so that a program need not check.
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

/// The failure on one line; none if the reader of the output is gone.
pub(crate) fn line(failure: &Failure) -> Option<String> {
    let (code, reason) = match failure {
        Failure::Status(status) | Failure::Hinted(status, _) => {
            let error = of_status(status);
            return Some(json::compact_value(&Line { error }));
        }
        Failure::Usage(_) => (Code::InvalidArgument, "USAGE"),
        Failure::Invalid(_) => (Code::InvalidArgument, "INPUT_INVALID"),
        Failure::Ambiguous(_) => (Code::InvalidArgument, "NAME_AMBIGUOUS"),
        Failure::NotFound(_) => (Code::NotFound, "NOT_FOUND"),
        Failure::Conflict(_) => (Code::FailedPrecondition, "CONFLICT"),
        Failure::NotAllowed(_) => (Code::PermissionDenied, "NOT_ALLOWED"),
        Failure::Local(_) | Failure::Output(_) => (Code::FailedPrecondition, "LOCAL_IO"),
        Failure::Service(_) => (Code::Unavailable, "SERVICE_FAILED"),
    };
    let error = Error {
        code: code_name(code),
        reason: reason.to_owned(),
        message: failure.message()?,
        ..Error::default()
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

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, io};

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn details_of_the_service_are_reported_by_field() {
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
        let unreached = Status::unavailable("cannot reach http://127.0.0.1:1").into();
        insta::assert_snapshot!(line(&unreached).unwrap());
        let closed = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert!(line(&closed).is_none());
    }
}
