use super::{DataKey, EncryptionKey, KeyId, cipher::CipherKey, encryption_key::BadKey};
use crate::store::codec::{self, CodecError, StoredDataKey};

/// The encryption keys of a service: a primary one, and older ones that only unwrap.
#[derive(Debug)]
pub struct Keyring {
    primary: EncryptionKey,
    older: Vec<EncryptionKey>,
}

/// Why a text has no valid keys. Never has a part of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    #[error("there is no key; `pipewright key generate` makes one")]
    Empty,
    #[error("line {line}: the key {problem}; `pipewright key generate` makes one")]
    Wrong {
        /// From 1.
        line: usize,
        problem: String,
    },
    /// Probably a rotation by hand that copied the old key.
    #[error("line {line}: the key is that of line {first} again")]
    Repeated { line: usize, first: usize },
}

/// Why a data key cannot be unwrapped. `owner` is that of its secrets: collection/id.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error(
        "the secrets of {owner} need the encryption key {wanted}, and there {}; add that key to \
         the encryption keys",
        describe(present)
    )]
    UnknownKey {
        owner: String,
        wanted: KeyId,
        present: Vec<KeyId>,
    },
    #[error("the data key of {owner} is damaged: the encryption key {key} does not open it")]
    Damaged { owner: String, key: KeyId },
    #[error("the data key of {owner} cannot be read: {source}")]
    Unreadable { owner: String, source: CodecError },
}

fn describe(present: &[KeyId]) -> String {
    let ids: Vec<_> = present.iter().map(KeyId::to_string).collect();
    let verb = if ids.len() == 1 { "is" } else { "are" };
    format!("{verb} only {}", ids.join(", "))
}

impl Keyring {
    pub fn new(primary: EncryptionKey, older: Vec<EncryptionKey>) -> Self {
        Self { primary, older }
    }

    /// Parses keys in base64 that are separated by white space. The first one is the primary. A
    /// comment begins with `#` and ends with its line.
    ///
    /// # Errors
    /// The first problem, with its line.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        let mut keys: Vec<EncryptionKey> = Vec::new();
        let mut lines = Vec::new();
        for (line, word) in words(text) {
            let key = EncryptionKey::parse(word).map_err(|problem: BadKey| BadKeys::Wrong {
                line,
                problem: problem.to_string(),
            })?;
            if let Some(first) = keys.iter().position(|known| known.id() == key.id()) {
                let first = lines[first];
                return Err(BadKeys::Repeated { line, first });
            }
            keys.push(key);
            lines.push(line);
        }
        let mut keys = keys.into_iter();
        let primary = keys.next().ok_or(BadKeys::Empty)?;
        Ok(Self::new(primary, keys.collect()))
    }

    /// The key that new data keys are wrapped with.
    pub fn primary(&self) -> KeyId {
        self.primary.id()
    }

    /// All keys, the primary first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().map(EncryptionKey::id).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &EncryptionKey> {
        std::iter::once(&self.primary).chain(&self.older)
    }

    /// A new data key for an owner of secrets, such as `jobs/ID` or `pipelines/ID/REVISION`, and
    /// its wrapped form, which is stored.
    pub fn new_data_key(&self, owner: &str) -> (DataKey, Vec<u8>) {
        let data_key = DataKey(CipherKey::random());
        let wrapped = self.wrap(owner, &data_key);
        (data_key, wrapped)
    }

    /// The data key in its wrapped form.
    ///
    /// # Errors
    /// If its encryption key is not among these, if it was wrapped for another owner, or if it is
    /// damaged.
    pub fn unwrap(&self, owner: &str, wrapped: &[u8]) -> Result<DataKey, KeyringError> {
        self.open(owner, &read(owner, wrapped)?)
    }

    /// The same data key wrapped with the primary key; `None` if it already is.
    ///
    /// # Errors
    /// As [`unwrap`](Self::unwrap).
    pub fn rewrap(&self, owner: &str, wrapped: &[u8]) -> Result<Option<Vec<u8>>, KeyringError> {
        let stored = read(owner, wrapped)?;
        // Opened in any case: a damaged data key must not count as rewrapped.
        let data_key = self.open(owner, &stored)?;
        let is_current = stored.encryption_key == self.primary.id();
        Ok((!is_current).then(|| self.wrap(owner, &data_key)))
    }

    fn wrap(&self, owner: &str, data_key: &DataKey) -> Vec<u8> {
        let primary = &self.primary;
        codec::encode(&StoredDataKey {
            encryption_key: primary.id(),
            wrapped: primary.key.seal(&aad(owner), data_key.0.expose()).into(),
        })
    }

    fn open(&self, owner: &str, stored: &StoredDataKey) -> Result<DataKey, KeyringError> {
        let wanted = stored.encryption_key;
        let key = self.keys().find(|key| key.id() == wanted);
        let key = key.ok_or_else(|| KeyringError::UnknownKey {
            owner: owner.to_owned(),
            wanted,
            present: self.ids(),
        })?;
        let opened = key.key.open(&aad(owner), &stored.wrapped).ok();
        let data_key = opened.and_then(|bytes| CipherKey::from_bytes(&bytes));
        data_key.map(DataKey).ok_or_else(|| KeyringError::Damaged {
            owner: owner.to_owned(),
            key: wanted,
        })
    }
}

fn read(owner: &str, wrapped: &[u8]) -> Result<StoredDataKey, KeyringError> {
    codec::decode(wrapped).map_err(|source| KeyringError::Unreadable {
        owner: owner.to_owned(),
        source,
    })
}

fn aad(owner: &str) -> String {
    format!("data-keys/{owner}")
}

/// The keys of a text, each with its line from 1.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines.flat_map(|(index, line)| keys_in(line).map(move |word| (index + 1, word)))
}

/// The keys on a line, without its comment.
pub(super) fn keys_in(line: &str) -> impl Iterator<Item = &str> {
    let keys = line.split_once('#').map_or(line, |(keys, _)| keys);
    keys.split_whitespace()
}
