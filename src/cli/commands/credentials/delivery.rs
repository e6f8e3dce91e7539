//! Delivery of a new token to the user.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tempfile::NamedTempFile;

use crate::cli::{
    exit::Failure,
    present::{format::Format, json, out, text},
};

/// Where a new token goes.
#[derive(Args, Debug)]
pub(super) struct DeliveryArgs {
    /// Write the token to this file, with mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    token_out: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long, requires = "token_out")]
    force: bool,
}

/// A new token.
#[derive(Clone, Copy)]
pub(super) struct Delivered<'a> {
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) text: &'a SecretString,
}

/// A token that is ready to be delivered: the steps that can fail are done, and no one has
/// seen it.
pub(super) struct Delivery<'a> {
    token: Delivered<'a>,
    format: Format,
    target: Target,
}

enum Target {
    Stdout,
    File {
        /// In the same directory as the file, so that a rename replaces it atomically.
        new: NamedTempFile,
        path: PathBuf,
        may_replace: bool,
    },
}

impl DeliveryArgs {
    /// Writes the token to a temporary file, if it goes to a file.
    pub(super) fn prepare<'a>(
        &self,
        token: Delivered<'a>,
        format: Format,
    ) -> Result<Delivery<'a>, Failure> {
        let target = match &self.token_out {
            Some(path) => self.file(path, token.text)?,
            None if out::is_discarded() => {
                return Err(Failure::Local(
                    "standard output is closed or is the null device, so that the token would \
                     be lost"
                        .to_owned(),
                ));
            }
            None => Target::Stdout,
        };
        Ok(Delivery {
            token,
            format,
            target,
        })
    }

    fn file(&self, path: &Path, token: &SecretString) -> Result<Target, Failure> {
        if !self.force && fs::symlink_metadata(path).is_ok() {
            return Err(exists(path));
        }
        // A symbolic link is preserved: its target is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            let path = shown(&path);
            return Err(Failure::Usage(format!(
                "{path} is a directory (--token-out)"
            )));
        }
        let new = write(&path, token).map_err(|error| cannot_write(&path, &error))?;
        Ok(Target::File {
            new,
            path,
            may_replace: self.force,
        })
    }
}

impl Delivery<'_> {
    /// Delivers the token, and returns where it is.
    pub(super) fn deliver(self) -> Result<String, Failure> {
        let Delivered { name, id, text } = self.token;
        let json = |key, value| {
            json::compact_value(&BTreeMap::from([("name", name), ("id", id), (key, value)]))
        };
        match self.target {
            Target::Stdout => {
                let secret = text.expose_secret();
                out::print_line(&match self.format {
                    Format::Table => secret.to_owned(),
                    Format::Json => json("token", secret),
                })?;
                warn_of_readers();
                Ok("it is shown only now".to_owned())
            }
            Target::File {
                new,
                path,
                may_replace,
            } => {
                let persisted = if may_replace {
                    new.persist(&path)
                } else {
                    new.persist_noclobber(&path)
                };
                persisted.map_err(|failed| match failed.error.kind() {
                    io::ErrorKind::AlreadyExists => exists(&path),
                    _ => cannot_write(&path, &failed.error),
                })?;
                let path = shown(&path);
                if self.format == Format::Json {
                    out::print_line(&json("tokenFile", &path))?;
                }
                Ok(format!("it is in {path}"))
            }
        }
    }
}

fn write(path: &Path, token: &SecretString) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Created with mode 0600.
    let mut new = NamedTempFile::new_in(directory)?;
    writeln!(new, "{}", token.expose_secret())?;
    new.as_file().sync_all()?;
    Ok(new)
}

/// A shell creates files that other users can read, which `--token-file` refuses.
fn warn_of_readers() {
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    let metadata = stdout.and_then(|stdout| File::from(stdout).metadata());
    let Ok(metadata) = metadata else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        out::notice(&format!(
            "warning: others can read or change the file that the token was printed to (mode \
             {mode:04o}); run chmod 600 on it, or use --token-out FILE"
        ));
    }
}

fn exists(path: &Path) -> Failure {
    let path = shown(path);
    Failure::Conflict(format!(
        "{path} exists (--token-out); name another file, or replace it with --force"
    ))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let text = format!("cannot write the token to {}: {error}", shown(path));
    if error.kind() == io::ErrorKind::PermissionDenied {
        Failure::NotAllowed(text)
    } else {
        Failure::Local(text)
    }
}

fn shown(path: &Path) -> String {
    text::one_line(&path.to_string_lossy())
}
