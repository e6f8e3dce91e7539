//! The credentials file.

mod draft;
mod fields;
mod place;
mod problems;
mod read;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use draft::Draft;
pub use problems::{Problem, Problems};

use super::{Entry, Kind, Subject};
use crate::private_file::{Exposed, FileError, FileIdentity, Locked};

/// A credentials file, which need not exist yet.
#[derive(Clone, Debug)]
pub struct CredentialsFile {
    path: PathBuf,
}

/// Why a credentials file could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error(
        "there is no credentials file {}; `pipewright user add` makes one",
        path.display()
    )]
    Missing { path: PathBuf },
    /// Other users may read or change it.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] FileError),
    /// Its content is not valid.
    #[error("{} is not valid:{problems}", path.display())]
    Wrong { path: PathBuf, problems: Problems },
    /// Names of principals are unique.
    #[error("there is a {kind} named `{name}` already; take another name, or remove it first")]
    NameTaken {
        name: String,
        /// The kind of principal that has it.
        kind: Kind,
    },
    /// A certificate belongs to one principal.
    #[error("certificates of {subject} are already those of `{name}`; remove it first")]
    SubjectTaken {
        /// Name in the certificate.
        subject: Subject,
        /// Principal that has it.
        name: String,
    },
    #[error("there is no {kind} named `{name}`{}", hint(*but))]
    NotFound {
        kind: Kind,
        name: String,
        /// The kind of entry that does have the name, if any.
        but: Option<Kind>,
    },
}

fn hint(but: Option<Kind>) -> String {
    but.map_or_else(String::new, |kind| format!(", but a {kind}"))
}

impl CredentialsFile {
    /// The file at a path; it need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All entries.
    ///
    /// # Errors
    /// If it cannot be read, if other users can, or if it is not valid.
    pub fn entries(&self) -> Result<Vec<Entry>, CredentialsError> {
        Ok(self.read()?.0)
    }

    /// All entries, and the identity of the file that was read.
    pub(super) fn read(&self) -> Result<(Vec<Entry>, FileIdentity), CredentialsError> {
        let (text, identity) = place::read(&self.path)?;
        Ok((self.parse(&text)?, identity))
    }

    /// The identity of the current file; none if it cannot be read.
    pub(super) fn identity(&self) -> Option<FileIdentity> {
        FileIdentity::at(&self.path)
    }

    /// Changes or creates the file. Concurrent changes wait for each other. A reader sees
    /// the file as it was before or after a change, also if the machine crashes.
    ///
    /// # Errors
    /// If `change` fails, or if the file cannot be read or written or is not valid. The file
    /// is then unchanged.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Draft) -> Result<T, CredentialsError>,
    ) -> Result<T, CredentialsError> {
        let locked = Locked::lock(&self.path)?;
        let text = place::read_or_empty(locked.path())?;
        let entries = self.parse(&text)?;
        let document = text.parse().map_err(|_| self.wrong(Vec::new()))?;
        let mut draft = Draft::new(document, entries);
        let done = change(&mut draft)?;
        let text = draft.text();
        // Never write a file that could not be read again.
        self.parse(&text)?;
        locked.prepare(&text)?.publish()?;
        Ok(done)
    }

    pub(super) fn parse(&self, text: &str) -> Result<Vec<Entry>, CredentialsError> {
        read::entries(text).map_err(|problems| self.wrong(problems.0))
    }

    fn wrong(&self, problems: Vec<Problem>) -> CredentialsError {
        CredentialsError::Wrong {
            path: self.path.clone(),
            problems: Problems(problems),
        }
    }
}
