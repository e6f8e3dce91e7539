//! Standard output and standard error.

use std::io::{self, IsTerminal, Write};

use crate::cli::{exit::Failure, present::text};

/// Prints bytes of a log or text that is fit for the terminal.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(Failure::Output)
}

/// Prints a line of text that is fit for the terminal.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    print(format!("{line}\n").as_bytes())
}

/// Tells a person something on standard error; control characters are taken
/// out. Nobody can be told that standard error is closed.
pub(crate) fn notice(message: &str) {
    let _ = writeln!(io::stderr(), "pipewright: {}", text::clean(message));
}

/// Prints a line of JSON, which has no control characters, on standard error.
pub(crate) fn error_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether logs have to be cleaned before they are printed.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}
