//! The keys that seal the secrets of each job and each revision.

use std::{fmt, sync::Arc};

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    domain::{JobId, PipelineId},
    store::{
        DataKey, Keyring, StoreError,
        codec::{CodecError, Seal, Unsealed},
        durable::SinkError,
    },
};

/// Whose secrets a data key seals.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Job(JobId),
    Revision(PipelineId, i64),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(id) => write!(f, "jobs/{id}"),
            Self::Revision(id, revision) => write!(f, "pipelines/{id}/{revision}"),
        }
    }
}

/// The encryption keys of the store, if it has any.
#[derive(Clone, Debug, Default)]
pub(super) struct Seals(pub(super) Option<Arc<Keyring>>);

impl Seals {
    /// Seals what is written. The data key of an owner is made when its first secret is.
    pub(super) fn writing(
        &self,
        rows: &Connection,
        owner: Owner,
        has_secrets: bool,
    ) -> Result<Box<dyn Seal>, SinkError> {
        if !has_secrets {
            return Ok(Box::new(Unsealed));
        }
        let owner = owner.to_string();
        let Some(keyring) = &self.0 else {
            return Err(SinkError::Fatal("there is no encryption key".into()));
        };
        if let Some(wrapped) = wrapped(rows, &owner)? {
            let key = keyring.unwrap(&owner, &wrapped);
            return Ok(Box::new(
                key.map_err(|error| SinkError::Fatal(error.into()))?,
            ));
        }
        let (key, wrapped) = keyring.new_data_key(&owner);
        let sql = "INSERT INTO data_key VALUES (?, ?, ?)";
        let primary = keyring.primary().to_string();
        rows.prepare_cached(sql)?
            .execute(params![owner, primary, wrapped])?;
        Ok(Box::new(key))
    }

    /// Opens what is read. The data key is looked up only if there is a secret.
    pub(super) fn reading<'a>(&'a self, rows: &'a Connection, owner: Owner) -> Opener<'a> {
        Opener {
            seals: self,
            rows,
            owner,
        }
    }
}

/// Removes the data key of an owner: copies of its secrets can no longer be read.
pub(super) fn forget(rows: &Connection, owner: Owner) -> rusqlite::Result<()> {
    let sql = "DELETE FROM data_key WHERE owner = ?";
    rows.prepare_cached(sql)?.execute([owner.to_string()])?;
    Ok(())
}

/// Opens the secrets of one owner.
pub(super) struct Opener<'a> {
    seals: &'a Seals,
    rows: &'a Connection,
    owner: Owner,
}

impl Opener<'_> {
    fn data_key(&self) -> Result<Option<DataKey>, StoreError> {
        let owner = self.owner.to_string();
        let (Some(keyring), Some(wrapped)) = (&self.seals.0, wrapped(self.rows, &owner)?) else {
            return Ok(None);
        };
        let key = keyring.unwrap(&owner, &wrapped);
        key.map(Some)
            .map_err(|error| StoreError::permanent(error.to_string(), error))
    }
}

impl Seal for Opener<'_> {
    fn seal(&self, _: &str, _: &[u8]) -> Vec<u8> {
        unreachable!("what is read is not sealed")
    }

    fn open(&self, aad: &str, sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        let key = self.data_key().map_err(|error| {
            tracing::error!(owner = %self.owner, %error, "a data key cannot be read");
            CodecError::Sealed {
                aad: aad.to_owned(),
                reason: "its data key cannot be read",
            }
        })?;
        match key {
            Some(key) => key.open(aad, sealed),
            None => Unsealed.open(aad, sealed),
        }
    }
}

fn wrapped(rows: &Connection, owner: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT wrapped FROM data_key WHERE owner = ?";
    let mut query = rows.prepare_cached(sql)?;
    query.query_row([owner], |row| row.get(0)).optional()
}
