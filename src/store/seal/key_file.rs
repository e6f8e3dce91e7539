use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, zeroize::Zeroizing};

use super::{
    EncryptionKey, KeyId, Keyring,
    keyring::{BadKeys, keys_in},
};
use crate::private_file::{
    Exposed, FileError, Locked, PrivateFileError, Readers, Replacement, open_private,
};

/// Suffices for a thousand keys.
const MOST_BYTES: u64 = 64 * 1024;

/// A file with encryption keys, which [`Keyring::parse`] reads.
///
/// A rotation has three steps: [`add_primary`](Self::add_primary), then a rewrap of all data keys
/// by the service or the command, then [`remove_older`](Self::remove_older). Between any two of
/// them, and after a crash in any of them, the file opens every data key.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

/// Why a key file could not be read or changed. Never has a part of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error(
        "there is no key file {path}; `pipewright key generate --out {path}` makes one",
        path = path.display()
    )]
    Missing { path: PathBuf },
    /// Others can read or change it.
    #[error("the key file {0}")]
    Exposed(#[from] Exposed),
    #[error(transparent)]
    Io(#[from] FileError),
    #[error("the key file {} is not valid: {error}", path.display())]
    Wrong { path: PathBuf, error: BadKeys },
    #[error(
        "{} exists; name another file, because without its keys the secrets that they encrypt are \
         lost",
        path.display()
    )]
    Exists { path: PathBuf },
    /// A concurrent rotation has added another one.
    #[error(
        "the primary key in {} is {found} now, and not {expected}; no key was removed; rotate again",
        path.display()
    )]
    OtherPrimary {
        path: PathBuf,
        found: KeyId,
        expected: KeyId,
    },
}

impl KeyFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// If it cannot be read, if others can, or if its content is not valid.
    pub fn read(&self) -> Result<Keyring, KeyFileError> {
        self.parse(&self.text()?)
    }

    /// Creates the file with this key, with mode 0600.
    ///
    /// # Errors
    /// If the file exists, or cannot be written.
    pub fn create(&self, key: &EncryptionKey) -> Result<(), KeyFileError> {
        let exists = || KeyFileError::Exists {
            path: self.path.clone(),
        };
        let locked = Locked::lock(&self.path)?;
        // Before a key is written to the disk, which a refusal does not need.
        if self.path.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let created = locked.prepare(&line_of(key))?.create();
        created.map_err(|error| match error.source.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => error.into(),
        })
    }

    /// Starts a rotation: a new key becomes the primary, and the others only unwrap.
    ///
    /// # Errors
    /// If the file cannot be read or written. It is then unchanged.
    pub fn add_primary(&self) -> Result<Keyring, KeyFileError> {
        let locked = Locked::lock(&self.path)?;
        let (text, keyring) = self.with_primary(EncryptionKey::generate())?;
        self.prepare(&locked, &text)?.publish()?;
        Ok(keyring)
    }

    /// Ends a rotation: removes all keys but `primary`, which must be the primary. No data key may
    /// need another one.
    ///
    /// # Errors
    /// If another key is the primary by now, or if the file cannot be read or written. It is then
    /// unchanged.
    pub fn remove_older(&self, primary: KeyId) -> Result<Keyring, KeyFileError> {
        let locked = Locked::lock(&self.path)?;
        let (text, keyring) = self.without_older(primary)?;
        self.prepare(&locked, &text)?.publish()?;
        Ok(keyring)
    }

    pub(super) fn with_primary(
        &self,
        key: EncryptionKey,
    ) -> Result<(Zeroizing<String>, Keyring), KeyFileError> {
        let old = self.text()?;
        self.parse(&old)?;
        let text = Zeroizing::new([line_of(&key).as_str(), old.as_str()].concat());
        let keyring = self.parse(&text)?;
        Ok((text, keyring))
    }

    pub(super) fn without_older(
        &self,
        primary: KeyId,
    ) -> Result<(Zeroizing<String>, Keyring), KeyFileError> {
        let old = self.text()?;
        let found = self.parse(&old)?.primary();
        if found != primary {
            return Err(KeyFileError::OtherPrimary {
                path: self.path.clone(),
                found,
                expected: primary,
            });
        }
        let text = only_first(&old);
        let keyring = self.parse(&text)?;
        Ok((text, keyring))
    }

    pub(super) fn prepare<'a>(
        &self,
        locked: &'a Locked,
        text: &str,
    ) -> Result<Replacement<'a>, KeyFileError> {
        // Never write a file that could not be read again.
        self.parse(text)?;
        Ok(locked.prepare(text)?)
    }

    fn text(&self) -> Result<Zeroizing<String>, KeyFileError> {
        let read = open_private(&self.path, Readers::Group).and_then(|file| Ok(read(file)?));
        read.map_err(|error| match error {
            PrivateFileError::Exposed(exposed) => exposed.into(),
            PrivateFileError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                KeyFileError::Missing {
                    path: self.path.clone(),
                }
            }
            PrivateFileError::Io(error) => FileError::of("read", &self.path)(error).into(),
        })
    }

    fn parse(&self, text: &str) -> Result<Keyring, KeyFileError> {
        Keyring::parse(text).map_err(|error| KeyFileError::Wrong {
            path: self.path.clone(),
            error,
        })
    }
}

fn read(file: File) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {MOST_BYTES} bytes"
        )));
    }
    Ok(text)
}

/// The key, with its id for people, who see the id in error messages.
fn line_of(key: &EncryptionKey) -> Zeroizing<String> {
    let line = format!("{} # {}\n", key.to_text().expose_secret(), key.id());
    Zeroizing::new(line)
}

/// The text with its first key only. Lines without a key remain.
fn only_first(text: &str) -> Zeroizing<String> {
    let mut kept = Zeroizing::new(String::new());
    let mut is_first = true;
    for line in text.lines() {
        let mut keys = keys_in(line);
        match (keys.next(), is_first) {
            (None, _) => kept.push_str(line),
            (Some(key), true) => {
                is_first = false;
                // The comment belongs to the key, unless there are more on the line.
                kept.push_str(if keys.next().is_none() { line } else { key });
            }
            (Some(_), false) => continue,
        }
        kept.push('\n');
    }
    kept
}
