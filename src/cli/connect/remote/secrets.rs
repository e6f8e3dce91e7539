//! Secrets from files, the environment, standard input and prompts.

use std::{
    io::{self, IsTerminal, Read},
    path::Path,
};

use secrecy::SecretString;

use crate::{
    cli::{exit::Failure, present::text},
    private_file::{PrivateFileError, Readers, open_private},
};

/// Maximum bytes of a secret: more does not fit into a header.
const LIMIT: u64 = 8 * 1024;

/// The secret in a file, without the line break at its end. Refused if other users can read
/// the file.
pub(crate) fn from_file(file: &Path) -> Result<SecretString, Failure> {
    let opened = open_private(file, Readers::Group);
    let read = opened.and_then(|opened| Ok(read(opened)?));
    read.map_err(|error| {
        Failure::Usage(match error {
            PrivateFileError::Exposed(exposed) => format!("the token file {exposed}"),
            PrivateFileError::Io(error) => {
                format!("cannot read the token in {}: {error}", file.display())
            }
        })
    })
}

/// A secret in an environment variable, without a trailing line break: some ways to set a
/// variable from a file keep it.
pub(crate) fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// The secret from standard input.
pub(crate) fn from_stdin(what: &str) -> Result<SecretString, Failure> {
    let secret = read(io::stdin().lock());
    secret.map_err(|error| {
        Failure::Usage(format!(
            "cannot read the {what} from standard input: {error}"
        ))
    })
}

fn read(source: impl Read) -> io::Result<SecretString> {
    let mut text = String::new();
    source.take(LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LIMIT {
        return Err(io::Error::other(format!("it is longer than {LIMIT} bytes")));
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(io::Error::other("it is empty")),
        secret => Ok(secret.into()),
    }
}

/// Asks the user at the terminal.
pub(crate) fn ask_password(username: &str) -> Result<SecretString, Failure> {
    let is_person = io::stdin().is_terminal() && io::stderr().is_terminal();
    let asked = is_person.then(|| {
        let username = text::one_line(username);
        rpassword::prompt_password(format!("Password of {username}: "))
    });
    match asked {
        Some(Ok(password)) => Ok(password.into()),
        Some(Err(error)) => Err(Failure::Usage(format!(
            "cannot ask for a password: {error}"
        ))),
        None => Err(Failure::Usage(
            "--username needs a password: set PIPEWRIGHT_PASSWORD, or run this in a terminal"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_a_line_without_its_end() {
        let secret = |text: &str| read(text.as_bytes()).ok();
        for text in ["t", "t\n", "t\r\n"] {
            assert_eq!(secret(text).unwrap().expose_secret(), "t");
        }
        assert_eq!(secret(" t ").unwrap().expose_secret(), " t ");
        assert!(secret("").is_none() && secret("\n").is_none());
        assert!(secret(&"t".repeat(9000)).is_none());
        assert!(read(&b"\xff"[..]).is_err());
    }

    #[test]
    fn one_line_end_goes_and_nothing_else() {
        for (text, expected) in [
            ("t", "t"),
            ("t\n", "t"),
            ("t\r\n", "t"),
            ("t\n\n", "t\n"),
            (" t \n", " t "),
            ("t\r", "t\r"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(without_line_end(text.to_owned()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_token_file_that_others_can_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "s3cret\n").unwrap();
        let mode = |mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&file, permissions).unwrap();
            from_file(file.path())
        };
        for private in [0o400, 0o600, 0o640] {
            assert_eq!(mode(private).unwrap().expose_secret(), "s3cret");
        }
        for open in [0o604, 0o644, 0o660] {
            let message = mode(open).unwrap_err().message().unwrap();
            assert!(message.contains("run: chmod 600 "), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
