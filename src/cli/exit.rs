//! Exit codes of commands, and the errors that lead to them.

use std::{fmt::Write as _, io, process::ExitCode};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::cli::connect::unreachable::root_cause;

/// Exit codes of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Success.
    Ok = 0,
    /// The job failed.
    JobFailed = 1,
    /// The command line is wrong, or a file, directory or output that it uses is.
    Usage = 2,
    /// The input is not valid.
    Invalid = 3,
    /// The resource does not exist.
    NotFound = 4,
    /// The current state does not allow it.
    Conflict = 5,
    /// The caller is not authenticated or not authorized.
    NotAllowed = 6,
    /// The service is unavailable.
    Unavailable = 7,
    /// The response took too long.
    Deadline = 8,
    /// The job was cancelled, but not by this command.
    CancelledByOther = 9,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments contradict each other.
    Usage(String),
    /// The input is no pipeline.
    Invalid(String),
    /// Several things have this name.
    Ambiguous(String),
    /// Nothing has this name.
    NotFound(String),
    /// Something else is in the way.
    Conflict(String),
    /// The service or the system denies access.
    NotAllowed(String),
    /// A file, a directory or an output of this machine cannot be used.
    Local(String),
    /// The service could not be started or has died.
    Service(String),
    /// The service refused, or could not be reached.
    Status(Box<Status>),
    /// The service refused; the text is a hint for the user.
    Hinted(Box<Status>, String),
    /// Standard output could not be written.
    Output(io::Error),
}

impl Failure {
    /// The exit code that stands for this failure.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Ambiguous(_) | Self::Local(_) => Exit::Usage,
            Self::Invalid(_) => Exit::Invalid,
            Self::NotFound(_) => Exit::NotFound,
            Self::Conflict(_) => Exit::Conflict,
            Self::NotAllowed(_) => Exit::NotAllowed,
            Self::Status(status) | Self::Hinted(status, _) => exit_of(status.code()),
            // A reader that stops reading, such as `head`, is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Usage,
            Self::Service(_) => Exit::Unavailable,
        }
    }

    /// The message for the user; none if the reader of the output is gone.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Usage(text)
            | Self::Invalid(text)
            | Self::Ambiguous(text)
            | Self::NotFound(text)
            | Self::Conflict(text)
            | Self::NotAllowed(text)
            | Self::Local(text)
            | Self::Service(text) => Some(text.clone()),
            Self::Status(status) => Some(describe(status)),
            Self::Hinted(status, hint) => Some(format!("{}\n  {hint}", describe(status))),
            Self::Output(_) if self.exit() == Exit::Ok => None,
            Self::Output(error) => Some(format!("cannot write to standard output: {error}")),
        }
    }
}

/// The service's error for something that does not exist, for look-ups by name: they list
/// resources, so the service does not return it by itself.
pub(crate) fn not_found(reason: &str, message: String) -> Failure {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "pipewright", []);
    Status::with_error_details(Code::NotFound, message, details).into()
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// 1 is reserved for failed jobs, so that a script never confuses a broken service with a
/// broken build.
fn exit_of(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Ok,
        Code::InvalidArgument | Code::OutOfRange => Exit::Invalid,
        Code::NotFound => Exit::NotFound,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Exit::Conflict,
        Code::PermissionDenied | Code::Unauthenticated => Exit::NotAllowed,
        Code::DeadlineExceeded => Exit::Deadline,
        Code::Cancelled
        | Code::Unknown
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Exit::Unavailable,
    }
}

/// The status in words: message, reason, cause, and a line for each of several
/// violations; a single one is in the message.
pub(crate) fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    let request = details.bad_request();
    let violations = request.map_or(&[][..], |request| request.field_violations.as_slice());
    let mut text = match violations {
        [] | [_] => headline(status),
        several => format!("the request is not valid in {} places", several.len()),
    };
    if let Some(info) = details.error_info() {
        let _ = write!(text, " ({})", info.reason);
    }
    if let [_, _, ..] = violations {
        for violation in violations {
            let _ = write!(text, "\n  {}: {}", violation.field, violation.description);
        }
    }
    text
}

fn headline(status: &Status) -> String {
    let message = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    match root_cause(status) {
        Some(cause) => format!("{message}: {cause}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_exit() {
        let table: Vec<_> = (0..=16)
            .map(|number| {
                let code = Code::from_i32(number);
                format!("{code:?} {}", exit_of(code) as u8)
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn violations_and_reason_are_reported() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info("INVALID_PIPELINE", "pipewright", [])
            .add_bad_request_violation("pipeline.stages[2].name", "is used by stages[0] too")
            .add_bad_request_violation("pipeline.name", "is required");
        let status =
            Status::with_error_details(Code::InvalidArgument, "the pipeline is not valid", details);
        insta::assert_snapshot!(describe(&status));
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((failure.exit(), failure.message()), (Exit::Ok, None));
    }

    #[test]
    fn a_full_output_is_no_unavailable_service() {
        let failure = Failure::Output(io::ErrorKind::StorageFull.into());
        assert_eq!(failure.exit(), Exit::Usage);
        let message = failure.message().unwrap();
        assert!(
            message.starts_with("cannot write to standard output: "),
            "{message}"
        );
    }
}
