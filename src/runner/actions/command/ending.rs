use std::process::ExitStatus;

use crate::{
    domain::Outcome,
    runner::{
        leases::Ending,
        process::{Exit, size},
    },
};

/// How the end of a command is told.
pub(super) fn ending(exit: &Exit) -> Ending {
    if let Some(cause) = exit.cause {
        return Ending::Stopped(cause);
    }
    let (outcome, exit_code, message) = match exit.out_of_memory {
        Some(limit) if !exit.status.success() => memory_ending(exit.status, limit),
        _ => exit_ending(exit.status),
    };
    Ending::Over {
        outcome,
        exit_code,
        message,
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
}
