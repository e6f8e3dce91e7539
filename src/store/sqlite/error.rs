use std::{io, path::PathBuf};

use rusqlite::ErrorCode;

use crate::store::{StoreError, durable::SinkError};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file of it cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("another process uses the data directory {}: stop it, or choose another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// There is no database.
    #[error("{} is no data directory: it has no store.db", path.display())]
    Absent {
        /// The directory.
        path: PathBuf,
    },
    /// The database is not one of Pipewright.
    #[error("store.db is a database of another program (application id {found:#x})")]
    Foreign {
        /// The application id that was found.
        found: i64,
    },
    /// A later version has written it.
    #[error(
        "the data directory has format {found}, and this version knows formats up to {known}: use the version that wrote it or a later one"
    )]
    TooNew {
        /// The format that was found.
        found: u32,
        /// The newest format that is known.
        known: u32,
    },
    /// A migration was applied that is not the one that this version knows by its number.
    #[error("migration {number} of the data directory is not the one of this version")]
    OtherMigration {
        /// The number of the migration.
        number: u32,
    },
    /// There are secrets, and no encryption key.
    #[error(
        "the data directory has secrets that are encrypted with the key {wanted}, and there is no encryption key: start the service with --encryption-key-file FILE, or set PIPEWRIGHT_ENCRYPTION_KEY"
    )]
    KeyRequired {
        /// The id of the key.
        wanted: String,
    },
    /// There are secrets of an encryption key that is not among those given.
    #[error(
        "the data directory has secrets that are encrypted with the key {wanted}, which is not among the encryption keys: add it to them"
    )]
    OtherKey {
        /// The id of the key.
        wanted: String,
    },
    /// The database cannot be read or written.
    #[error("the database cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// A row cannot be read.
    #[error(transparent)]
    Rows(#[from] StoreError),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::transient(error.to_string())
            }
            Some(ErrorCode::DiskFull) => Self::full(error.to_string()),
            _ => Self::permanent("the database cannot be read", error),
        }
    }
}

impl From<rusqlite::Error> for SinkError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            _ => Self::Fatal(Box::new(error)),
        }
    }
}
