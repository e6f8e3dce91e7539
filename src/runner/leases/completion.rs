//! How the end of a stage is reported to the service and to people.

use humantime::format_duration;

use super::stop::Cause;
use crate::{
    domain::{Outcome, cut},
    runner::{Completion, StageWork},
};

/// Longest message of a completion, in bytes.
const MESSAGE_LIMIT: usize = 2 * 1024;

/// How a started action ended.
pub(in crate::runner) struct Ended {
    pub(in crate::runner) ending: Ending,
    /// Bytes of the whole log, including those that were dropped or not accepted.
    pub(in crate::runner) log_size: u64,
    /// The service did not accept the end of the log.
    pub(in crate::runner) log_incomplete: bool,
}

#[derive(Debug, PartialEq)]
pub(in crate::runner) enum Ending {
    /// The runner stopped it.
    Stopped(Cause),
    /// It ended by itself.
    Over {
        outcome: Outcome,
        exit_code: Option<i32>,
        /// For people; empty if there is nothing to say.
        message: String,
    },
}

/// Why a stage's action was not started, or why it is unknown how it ended.
pub(in crate::runner) enum Failure {
    Stopped(Cause),
    /// The workspace that the stage builds on is gone.
    Returned,
    /// For people.
    Checkout(String),
    /// For people.
    Runner(String),
}

/// The completion of a stage, whether or not it was started; `commit` is the job's.
pub(in crate::runner) fn completion(
    work: &StageWork,
    result: Result<Ended, Failure>,
    commit: Option<&str>,
) -> Completion {
    let log = result.as_ref().ok();
    let (log_size, log_incomplete) =
        log.map_or((0, false), |ended| (ended.log_size, ended.log_incomplete));
    let (outcome, exit_code, message) = match result {
        Ok(Ended {
            ending:
                Ending::Over {
                    outcome,
                    exit_code,
                    message,
                },
            ..
        }) => (outcome, exit_code, message),
        Ok(Ended {
            ending: Ending::Stopped(cause),
            ..
        })
        | Err(Failure::Stopped(cause)) => stop_ending(work, cause),
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
        message: cut(&message, MESSAGE_LIMIT).to_owned(),
        log_size,
        log_incomplete,
        commit_id: commit.map(str::to_owned),
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
