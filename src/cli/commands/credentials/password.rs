//! Passwords that users type.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::{auth::PasswordHash, cli::exit::Failure};

/// Longer than any password: input beyond it is not read.
const MOST_BYTES: u64 = 4 * 1024;

/// Source of a password.
#[derive(Args, Debug)]
pub(super) struct PasswordArgs {
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArgs {
    /// Asks twice on a terminal, without showing what is typed.
    pub(super) fn hash(&self) -> Result<PasswordHash, Failure> {
        let stdin = io::stdin();
        let password = if !self.password_stdin && stdin.is_terminal() {
            asked()?
        } else {
            first_line(stdin.lock())?
        };
        PasswordHash::of(&password).map_err(|error| Failure::Invalid(error.to_string()))
    }
}

fn asked() -> Result<SecretString, Failure> {
    let ask = |prompt| {
        let typed = rpassword::prompt_password(prompt).map_err(unreadable)?;
        Ok::<_, Failure>(SecretString::from(typed))
    };
    let (once, again) = (ask("Password: ")?, ask("Password again: ")?);
    if once.expose_secret() == again.expose_secret() {
        Ok(once)
    } else {
        Err(Failure::Invalid("the two passwords differ".to_owned()))
    }
}

fn first_line(source: impl BufRead) -> Result<SecretString, Failure> {
    let mut line = String::new();
    let read = source.take(MOST_BYTES).read_line(&mut line);
    read.map_err(unreadable)?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        Err(Failure::Usage(
            "there is no password on standard input".to_owned(),
        ))
    } else {
        Ok(password.into())
    }
}

fn unreadable(error: io::Error) -> Failure {
    Failure::Usage(format!("cannot read the password: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        let read = |text: &str| {
            let line = first_line(text.as_bytes());
            line.map(|line| line.expose_secret().to_owned()).ok()
        };
        let password = || Some(" a b ".to_owned());
        assert_eq!(read(" a b \nc"), password());
        assert_eq!(read(" a b \r\n"), password());
        assert_eq!(read(" a b "), password());
        assert_eq!(read(""), None);
        assert_eq!(read("\nx"), None);
        let long = "x".repeat(5000);
        assert_eq!(read(&long).map(|read| read.len()), Some(4096));
    }
}
