//! What is sealed opens with its own key and for its own owner only, and no key is shown.

mod key_file;
mod keyring;
mod secrets;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{EncryptionKey, Keyring};

/// A key that consists of one byte, as text.
fn text_of(byte: u8) -> String {
    BASE64_STANDARD.encode([byte; 32])
}

fn key(byte: u8) -> EncryptionKey {
    EncryptionKey::parse(&text_of(byte)).unwrap()
}

/// Keys that consist of one byte each, the primary first.
fn keyring(bytes: &[u8]) -> Keyring {
    let (primary, older) = bytes.split_first().unwrap();
    Keyring::new(key(*primary), older.iter().copied().map(key).collect())
}
