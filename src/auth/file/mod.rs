//! The credentials file.

mod draft;
mod fields;
mod place;
mod problems;
mod read;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use draft::Draft;
pub use problems::{Problem, Problems};

use super::{Entry, Exposed, FileIdentity, Kind, Subject};

/// A credentials file, which may not be there yet.
#[derive(Clone, Debug)]
pub struct CredentialsFile {
    path: PathBuf,
}

/// Why a credentials file could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It is not there.
    #[error(
        "there is no credentials file {}; `pipewright user add` makes one",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Others than its owner may read or change it.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The system does not let it be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What it says is wrong.
    #[error("{} is not valid:{mistakes}", path.display())]
    Wrong {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        mistakes: Problems,
    },
    /// No two principals have the same name.
    #[error("there is a {kind} named `{name}` already; take another name, or remove it first")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        kind: Kind,
    },
    /// A certificate belongs to one principal.
    #[error("certificates of {subject} are already those of `{name}`; remove it first")]
    SubjectTaken {
        /// The name in the certificate.
        subject: Subject,
        /// Whose it is.
        name: String,
    },
    /// Nothing has the name.
    #[error("there is no {kind} named `{name}`{}", hint(*but))]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// Under which name.
        name: String,
        /// What has the name, if anything has.
        but: Option<Kind>,
    },
}

fn hint(but: Option<Kind>) -> String {
    but.map_or_else(String::new, |kind| format!(", but a {kind}"))
}

impl CredentialsFile {
    /// The file at a path, whether it is there or not.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everybody in it.
    ///
    /// # Errors
    /// If it cannot be read, if others can, or if something in it is wrong.
    pub fn entries(&self) -> Result<Vec<Entry>, CredentialsError> {
        Ok(self.read()?.0)
    }

    /// Everybody in it, and which file that was.
    pub(super) fn read(&self) -> Result<(Vec<Entry>, FileIdentity), CredentialsError> {
        let (text, identity) = place::read(&self.path)?;
        Ok((self.parse(&text)?, identity))
    }

    /// Which file it is now; none if it cannot be told.
    pub(super) fn identity(&self) -> Option<FileIdentity> {
        FileIdentity::at(&self.path)
    }

    /// Changes it, or makes it. Whoever changes it meanwhile waits; whoever reads it
    /// sees it as it was before or as it is after, also if the machine stops.
    ///
    /// # Errors
    /// If `change` gives one, or if the file cannot be read or written or is wrong;
    /// it then stays as it was.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Draft) -> Result<T, CredentialsError>,
    ) -> Result<T, CredentialsError> {
        let place = place::Locked::lock(&self.path)?;
        let text = place.read()?;
        let entries = self.parse(&text)?;
        let document = text.parse().map_err(|_| self.wrong(Vec::new()))?;
        let mut draft = Draft::new(document, entries);
        let done = change(&mut draft)?;
        let text = draft.text();
        // Nothing is written that would not be read.
        self.parse(&text)?;
        place.write(&text)?;
        Ok(done)
    }

    pub(super) fn parse(&self, text: &str) -> Result<Vec<Entry>, CredentialsError> {
        read::entries(text).map_err(|mistakes| self.wrong(mistakes.0))
    }

    fn wrong(&self, mistakes: Vec<Problem>) -> CredentialsError {
        CredentialsError::Wrong {
            path: self.path.clone(),
            mistakes: Problems(mistakes),
        }
    }
}
