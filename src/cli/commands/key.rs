//! `pipewright key` manages the keys that encrypt secrets at rest.

use std::{collections::BTreeMap, io, path::PathBuf};

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use crate::{
    cli::{
        exit::{Exit, Failure},
        present::{format::Format, json, out, text},
    },
    config::EncryptionKeys,
    private_file::FileError,
    store::{EncryptionKey, KeyFile, KeyFileError, Keyring},
};

/// Manage the keys that encrypt secrets at rest
#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Generate a key and print it, or write it to a file
    ///
    /// `pipewright serve --encryption-key-file FILE` uses it. Keep a copy apart from the backups of
    /// the service: without the key, the secrets in them are lost.
    Generate {
        /// Write the key to this new file, with mode 0600, instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Runs one of the key commands.
pub(crate) fn key(args: KeyArgs, format: Format) -> Result<Exit, Failure> {
    match args.command {
        KeyCommand::Generate { out } => generate(out, format)?,
    }
    Ok(Exit::Ok)
}

fn generate(file: Option<PathBuf>, format: Format) -> Result<(), Failure> {
    let key = EncryptionKey::generate();
    let id = key.id().to_string();
    let json = |name, value| json::compact_value(&BTreeMap::from([("id", &*id), (name, value)]));
    let place = match file {
        Some(path) => {
            let shown = text::one_line(&path.to_string_lossy());
            KeyFile::new(path).create(&key)?;
            let place = format!("it is in {shown}");
            if format == Format::Json {
                let done = format!("made the encryption key {id}, {place}");
                out::print_done(&done, &json("keyFile", &shown))?;
            }
            place
        }
        None => {
            let text = key.to_text();
            out::print_line(&match format {
                Format::Table => text.expose_secret().to_owned(),
                Format::Json => json("key", text.expose_secret()),
            })?;
            "it is shown only now".to_owned()
        }
    };
    out::notice(&format!(
        "made the encryption key {id}; {place}; keep a copy apart from the backups of the service"
    ));
    Ok(())
}

/// Reads the keys of a service, for a check.
pub(crate) fn check(keys: &EncryptionKeys) -> Result<(), Failure> {
    let keyring = match keys {
        EncryptionKeys::File(path) => KeyFile::new(path.clone()).read()?,
        EncryptionKeys::Text(text) => Keyring::parse(text.expose_secret())
            .map_err(|error| Failure::Invalid(format!("PIPEWRIGHT_ENCRYPTION_KEY: {error}")))?,
    };
    drop(keyring);
    Ok(())
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let text = error.to_string();
        match error {
            KeyFileError::Missing { .. } => Self::NotFound(text),
            KeyFileError::Exists { .. } | KeyFileError::OtherPrimary { .. } => Self::Conflict(text),
            KeyFileError::Io(FileError { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Self::NotAllowed(text)
            }
            KeyFileError::Io(_) => Self::Local(text),
            KeyFileError::Exposed(_) | KeyFileError::Wrong { .. } => Self::Invalid(text),
        }
    }
}
