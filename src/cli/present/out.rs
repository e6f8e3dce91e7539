//! Standard output and standard error.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
};

use crate::cli::{exit::Failure, present::text};

/// Prints bytes of a log, or text that is safe for the terminal.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(Failure::Output)
}

/// Prints a line of text that is safe for the terminal.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    print(format!("{line}\n").as_bytes())
}

/// Prints the result of a command that has changed something. If it cannot be written, the
/// error says that the change was made.
pub(crate) fn print_done(done: &str, line: &str) -> Result<(), Failure> {
    match print_line(line) {
        Err(Failure::Output(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Local(format!(
                "{done}, but the result cannot be written to standard output: {error}"
            )))
        }
        other => other,
    }
}

/// Whether no one can read standard output: it is the null device, which also stands in for
/// an output that was closed when the program started.
pub(crate) fn is_discarded() -> bool {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let stdout = stdout.and_then(|file| file.metadata());
    match (stdout, fs::metadata("/dev/null")) {
        (Ok(stdout), Ok(null)) => {
            stdout.file_type().is_char_device() && stdout.rdev() == null.rdev()
        }
        _ => false,
    }
}

/// Prints a message on standard error, without control characters. If standard error is
/// closed, there is no place to report that.
pub(crate) fn notice(message: &str) {
    let _ = writeln!(io::stderr(), "pipewright: {}", text::clean(message));
}

/// Prints a line of JSON, which has no control characters, on standard error.
pub(crate) fn error_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Width of the terminal in columns; none if standard output is no terminal.
pub(crate) fn width() -> Option<usize> {
    let stdout = console::Term::stdout();
    let size = stdout.is_term().then(|| stdout.size_checked()).flatten();
    // A terminal of unknown width reports 0 columns.
    size.map(|(_, columns)| usize::from(columns))
        .filter(|columns| *columns > 0)
}

/// Whether logs have to be cleaned before they are printed.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}
