//! How a stage's end is told to the service and to people.

use std::process::ExitStatus;

use humantime::format_duration;

use super::{Completion, StageWork, guards::size, log::Shipped, process::Ended, stop::Cause};
use crate::domain::Outcome;

/// Longest message of a completion, in bytes.
const MESSAGE_LIMIT: usize = 2 * 1024;

/// Why a stage's command did not run to an end.
pub(super) enum Failure {
    Stopped(Cause),
    /// The workspace that it was to go on in is gone.
    Returned,
    /// For people.
    Checkout(String),
    /// For people.
    Runner(String),
}

/// The completion of a stage that ran, or did not, on `commit`.
pub(super) fn completion(
    work: &StageWork,
    result: Result<Ended<Shipped>, Failure>,
    commit: Option<&str>,
) -> Completion {
    let log_size = result.as_ref().map_or(0, |ended| ended.output.size);
    let log_incomplete = result
        .as_ref()
        .is_ok_and(|ended| ended.output.is_incomplete);
    let (outcome, exit_code, message) = match result {
        Ok(ended) => ending(work, &ended),
        Err(Failure::Stopped(cause)) => stop_ending(work, cause),
        Err(Failure::Returned) => {
            let message = "the workspace of the job's earlier stages is gone".to_owned();
            (Outcome::Returned, None, message)
        }
        Err(Failure::Checkout(message)) => (Outcome::CheckoutFailed, None, message),
        Err(Failure::Runner(message)) => (Outcome::RunnerError, None, message),
    };
    Completion {
        outcome,
        exit_code,
        message: shortened(message),
        log_size,
        log_incomplete,
        commit_id: commit.map(str::to_owned),
    }
}

fn ending(work: &StageWork, ended: &Ended<Shipped>) -> (Outcome, Option<i32>, String) {
    if let Some(cause) = ended.cause {
        return stop_ending(work, cause);
    }
    match ended.out_of_memory {
        Some(limit) if !ended.status.success() => memory_ending(ended.status, limit),
        _ => exit_ending(ended.status),
    }
}

fn memory_ending(status: ExitStatus, limit: u64) -> (Outcome, Option<i32>, String) {
    let message = format!(
        "killed: it used more than its memory limit of {}; \
         if it needs more, raise --max-stage-memory",
        size(limit)
    );
    (Outcome::CommandFailed, status.code(), message)
}

fn exit_ending(status: ExitStatus) -> (Outcome, Option<i32>, String) {
    match status.code() {
        Some(0) => (Outcome::Succeeded, Some(0), String::new()),
        Some(code) => {
            let message = format!("exited with status {code}; its log says why");
            (Outcome::CommandFailed, Some(code), message)
        }
        None => {
            // The standard library writes "signal: 9 (SIGKILL)".
            let signal = status.to_string().replacen("signal: ", "signal ", 1);
            (Outcome::CommandFailed, None, format!("killed by {signal}"))
        }
    }
}

fn stop_ending(work: &StageWork, cause: Cause) -> (Outcome, Option<i32>, String) {
    let (outcome, message) = match cause {
        Cause::TimedOut => (
            Outcome::TimedOut,
            format!(
                "ran longer than its timeout of {}; if it needs more, raise the stage's timeout",
                format_duration(work.timeout)
            ),
        ),
        Cause::Cancelled => (Outcome::Cancelled, "cancelled".to_owned()),
        Cause::LeaseLost => (Outcome::RunnerError, "stopped by the runner".to_owned()),
    };
    (outcome, None, message)
}

fn shortened(mut message: String) -> String {
    let mut end = message.len().min(MESSAGE_LIMIT);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        let told = |raw| exit_ending(ExitStatus::from_raw(raw));
        assert_eq!(told(0), (Outcome::Succeeded, Some(0), String::new()));
        assert_eq!(
            told(3 << 8),
            (
                Outcome::CommandFailed,
                Some(3),
                "exited with status 3; its log says why".to_owned()
            )
        );
        assert_eq!(
            told(9),
            (
                Outcome::CommandFailed,
                None,
                "killed by signal 9 (SIGKILL)".to_owned()
            )
        );
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let message = shortened("€".repeat(1_000));
        assert_eq!(message.len(), 2_046);
    }
}
