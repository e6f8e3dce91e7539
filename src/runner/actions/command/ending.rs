use std::process::ExitStatus;

use crate::{
    domain::Outcome,
    runner::{
        leases::Ending,
        log::Shipped,
        process::{Exit, size},
    },
};

/// Most characters of a command in a message.
const SHOWN: usize = 200;

/// How the end of a command is reported, with the state of its log.
pub(super) fn ending(exit: &Exit, command: &str, log: &Shipped) -> Ending {
    if let Some(cause) = exit.cause {
        return Ending::Stopped(cause);
    }
    let (outcome, exit_code, message) = match exit.out_of_memory {
        Some(limit) if !exit.status.success() => memory_ending(exit.status, limit),
        _ => exit_ending(exit.status, command, log),
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

fn exit_ending(status: ExitStatus, command: &str, log: &Shipped) -> (Outcome, Option<i32>, String) {
    match status.code() {
        Some(0) => (Outcome::Succeeded, Some(0), String::new()),
        Some(code) => {
            let why = where_to_look(command, log);
            let message = format!("exited with status {code}{why}");
            (Outcome::CommandFailed, Some(code), message)
        }
        None => {
            // The standard library writes "signal: 9 (SIGKILL)".
            let signal = status.to_string().replacen("signal: ", "signal ", 1);
            (Outcome::CommandFailed, None, format!("killed by {signal}"))
        }
    }
}

/// Where to find out why a command failed.
fn where_to_look(command: &str, log: &Shipped) -> String {
    if log.size > 0 && log.is_incomplete {
        return "; the end of its log is missing, as the service did not accept it".to_owned();
    }
    if log.size > 0 {
        return "; its log says why".to_owned();
    }
    let lines = command.lines().map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = lines.next() else {
        return " and wrote nothing".to_owned();
    };
    let first = shortened(first);
    match 1 + lines.count() {
        1 => format!(" and wrote nothing; the command was: {first}"),
        all => format!(
            " and wrote nothing; `set -x` shows which of its {all} lines failed, the first is: \
             {first}"
        ),
    }
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        let told = |raw| exit_ending(ExitStatus::from_raw(raw), "make", &written(5));
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

    fn written(size: u64) -> Shipped {
        Shipped {
            size,
            is_incomplete: false,
        }
    }

    #[test]
    fn a_command_that_wrote_nothing_is_named() {
        let long = format!("test {}", "é".repeat(400));
        let shown = format!("; the command was: test {}…", "é".repeat(195));
        for (command, expected) in [
            ("test -z x", "; the command was: test -z x"),
            (
                "\n # why\n\n  test -z x  \n",
                "; the command was: test -z x",
            ),
            (&*long, &*shown),
            (
                "cd sub\n# all of them\ntest -f a\ntest -f b\n",
                "; `set -x` shows which of its 3 lines failed, the first is: cd sub",
            ),
            ("# nothing", ""),
        ] {
            let (_, _, message) = exit_ending(ExitStatus::from_raw(1 << 8), command, &written(0));
            let expected = format!("exited with status 1 and wrote nothing{expected}");
            assert_eq!(message, expected, "{command:?}");
        }
    }

    #[test]
    fn a_log_without_its_end_is_not_said_to_say_why() {
        let log = Shipped {
            size: 5,
            is_incomplete: true,
        };
        let (_, _, message) = exit_ending(ExitStatus::from_raw(1 << 8), "make", &log);
        let expected =
            "exited with status 1; the end of its log is missing, as the service did not accept it";
        assert_eq!(message, expected);
    }
}
