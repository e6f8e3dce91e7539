//! Encryption of secrets at rest, for stores that write to a disk.
//!
//! Each owner of secrets, which is a job or a revision of a pipeline, has a data key of its own.
//! Its secrets are sealed under the data key, and the data key is wrapped by an encryption key
//! that the operator keeps. A rotation wraps data keys again and rewrites nothing that was sealed
//! under them, because events and revisions are never rewritten.
//!
//! The cipher is XChaCha20-Poly1305: its nonces are long enough to be random.

mod cipher;
mod data_key;
mod encryption_key;
mod key_file;
mod keyring;
#[cfg(test)]
mod tests;

pub use data_key::DataKey;
pub use encryption_key::{EncryptionKey, KeyId};
pub use key_file::{KeyFile, KeyFileError};
pub use keyring::{BadKeys, Keyring, KeyringError};
