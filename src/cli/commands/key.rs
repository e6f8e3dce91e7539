//! `pipewright key` manages the keys that encrypt secrets at rest.

use std::{collections::BTreeMap, io, path::PathBuf};

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use crate::{
    cli::{
        commands::data::Place,
        exit::{Exit, Failure},
        present::{format::Format, json, out, text},
    },
    private_file::FileError,
    store::{EncryptionKey, KeyFile, KeyFileError, RotateError, Rotated, rotate},
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
    /// Replace the encryption key of a data directory that no service uses
    ///
    /// A new key becomes the first of the file, everything is encrypted with it, and the older
    /// keys are removed from the file. If the command is interrupted, repeat it. Backups need the
    /// keys that they were made with.
    Rotate {
        #[command(flatten)]
        place: Place,
        /// File of the encryption keys
        #[arg(long, value_name = "FILE", env = "PIPEWRIGHT_ENCRYPTION_KEY_FILE")]
        encryption_key_file: PathBuf,
    },
}

/// Runs one of the key commands.
pub(crate) fn key(args: KeyArgs, format: Format) -> Result<Exit, Failure> {
    match args.command {
        KeyCommand::Generate { out } => generate(out, format)?,
        KeyCommand::Rotate {
            place,
            encryption_key_file,
        } => {
            let Rotated { key, data_keys } =
                rotate(&place.data_dir, &KeyFile::new(encryption_key_file))?;
            out::print_line(&match format {
                Format::Table => {
                    format!(
                        "the encryption key is {key} now; {data_keys} data keys were encrypted again"
                    )
                }
                Format::Json => json::compact_value(&BTreeMap::from([
                    ("id", key),
                    ("dataKeys", data_keys.to_string()),
                ])),
            })?;
        }
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

impl From<RotateError> for Failure {
    fn from(error: RotateError) -> Self {
        let text = error.to_string();
        match error {
            RotateError::NoDataDirectory { .. } => Self::NotFound(text),
            RotateError::File(error) => error.into(),
            RotateError::Keyring(_) => Self::Invalid(text),
            RotateError::Open(error) => error.into(),
        }
    }
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
