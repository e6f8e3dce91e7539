use bytes::Bytes;

use crate::store::KeyId;

use super::{CodecError, Kind, Stored, messages};

/// A data key, wrapped with an encryption key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDataKey {
    pub encryption_key: KeyId,
    pub wrapped: Bytes,
}

impl Stored for StoredDataKey {
    const KIND: Kind = Kind::DataKey;
    type Message = messages::DataKey;

    fn to_message(&self) -> Self::Message {
        let Self {
            encryption_key,
            wrapped,
        } = self;
        messages::DataKey {
            encryption_key_id: encryption_key.0.to_vec().into(),
            wrapped: wrapped.clone(),
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::DataKey {
            encryption_key_id: id,
            wrapped,
        } = message;
        let found = id.len();
        let id = <[u8; 8]>::try_from(&*id).map_err(|_| CodecError::Invalid {
            field: "DataKey.encryption_key_id",
            found: format!("{found} bytes"),
            expected: "8 bytes",
        })?;
        Ok(Self {
            encryption_key: KeyId(id),
            wrapped,
        })
    }
}
