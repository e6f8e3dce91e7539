//! Replaces the encryption key of a data directory that no service uses.

use std::path::{Path, PathBuf};

use rusqlite::params;

use crate::store::{KeyFile, KeyFileError, KeyringError};

use super::super::{Directory, OpenError, Seals, check_keys};

/// Data keys that one transaction wraps again.
const AT_ONCE: i64 = 1_000;

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The id of the new encryption key.
    pub key: String,
    /// How many data keys were wrapped again.
    pub data_keys: u64,
}

/// Why an encryption key could not be replaced. The key file opens everything in any case.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// There is no data directory.
    #[error("{} is no data directory", path.display())]
    NoDataDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A data key cannot be unwrapped.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl From<rusqlite::Error> for RotateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Open(error.into())
    }
}

/// Makes a new encryption key the primary of the key file, wraps all data keys with it, and
/// removes the older keys from the file. Between any two steps, and after a crash in any of
/// them, the file opens every data key; the command is then repeated.
///
/// # Errors
/// If the directory is in use, or one of the two cannot be used.
pub fn rotate(data_dir: &Path, file: &KeyFile) -> Result<Rotated, RotateError> {
    let directory = Directory(data_dir.to_owned());
    if !directory.database().is_file() {
        return Err(RotateError::NoDataDirectory {
            path: data_dir.to_owned(),
        });
    }
    let _lock = directory.lock()?;
    let mut connection = directory.connect()?;
    check_keys(&connection, &Seals(Some(file.read()?.into())))?;
    let keyring = file.add_primary()?;
    let primary = keyring.primary();
    let key = primary.to_string();
    let mut data_keys = 0;
    loop {
        let transaction = connection.transaction()?;
        let sql = "SELECT owner, wrapped FROM data_key WHERE encryption_key <> ? LIMIT ?";
        let mut query = transaction.prepare_cached(sql)?;
        let found = query.query_map(params![key, AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let found: Vec<(String, Vec<u8>)> = found.collect::<Result<_, _>>()?;
        drop(query);
        if found.is_empty() {
            break;
        }
        for (owner, wrapped) in &found {
            let again = keyring.rewrap(owner, wrapped)?;
            let again = again.as_ref().unwrap_or(wrapped);
            let sql = "UPDATE data_key SET encryption_key = ?, wrapped = ? WHERE owner = ?";
            transaction
                .prepare_cached(sql)?
                .execute(params![key, again, owner])?;
        }
        transaction.commit()?;
        data_keys += found.len() as u64;
    }
    file.remove_older(primary)?;
    Ok(Rotated { key, data_keys })
}
