use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{SecretString, zeroize::Zeroizing};
use sha2::{Digest, Sha256};

use super::cipher::{CipherKey, KEY_BYTES};

/// Separates the hash of a key from every other hash of the same bytes.
const ID_DOMAIN: &[u8] = b"pipewright encryption key id\0";

/// A key of the operator, which wraps data keys. `Debug` shows its id only.
pub struct EncryptionKey {
    pub(super) key: CipherKey,
    id: KeyId,
}

/// Identifies an encryption key, and reveals nothing else of it: the beginning of a hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 8]);

/// Why a text is not a key. Never has a part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadKey {
    #[error("is not base64")]
    NotBase64,
    #[error("has {0} bytes; a key has {KEY_BYTES}")]
    Length(usize),
}

impl EncryptionKey {
    pub fn generate() -> Self {
        Self::of(CipherKey::random())
    }

    /// Parses base64 of 32 bytes.
    pub(super) fn parse(text: &str) -> Result<Self, BadKey> {
        let bytes = BASE64_STANDARD.decode(text).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| BadKey::NotBase64)?;
        let key = CipherKey::from_bytes(&bytes).ok_or(BadKey::Length(bytes.len()))?;
        Ok(Self::of(key))
    }

    fn of(key: CipherKey) -> Self {
        let hash = Sha256::new()
            .chain_update(ID_DOMAIN)
            .chain_update(key.expose())
            .finalize();
        let id = hash.first_chunk().expect("SHA-256 has 32 bytes");
        Self {
            id: KeyId(*id),
            key,
        }
    }

    /// The text that [`Keyring::parse`](super::Keyring::parse) reads.
    pub fn to_text(&self) -> SecretString {
        BASE64_STANDARD.encode(self.key.expose()).into()
    }

    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "EncryptionKey({})", self.id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyId({self})")
    }
}
