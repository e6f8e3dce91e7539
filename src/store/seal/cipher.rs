use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroizing};

pub(super) const KEY_BYTES: usize = 32;

/// The version of the sealed form: this byte, a nonce, the ciphertext with its tag. It differs
/// from the prefix of values that are not encrypted.
const SEALED: u8 = 1;
const NONCE_BYTES: usize = 24;

/// A key of the cipher. Cleared when it is dropped, and never shown.
#[derive(Debug)]
pub(super) struct CipherKey(SecretBox<[u8; KEY_BYTES]>);

/// What was sealed under another key or for another owner, or was damaged since: the cipher
/// cannot distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// Not the form that this version writes.
    UnknownForm,
    /// Authentication failed.
    NotAuthentic,
}

impl CipherKey {
    pub(super) fn random() -> Self {
        Self(SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| {
            rand::fill(key);
        }))
    }

    /// `None` if the bytes are not a key's number.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().ok()?;
        Some(Self(SecretBox::init_with_mut(
            |key: &mut [u8; KEY_BYTES]| key.copy_from_slice(bytes),
        )))
    }

    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        self.0.expose_secret()
    }

    pub(super) fn seal(&self, aad: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: aad.as_bytes(),
        };
        let ciphertext = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.expect("a secret is far smaller than the cipher's 256 GiB");
        [&[SEALED], &nonce[..], &ciphertext].concat()
    }

    pub(super) fn open(&self, aad: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let Some((&SEALED, rest)) = sealed.split_first() else {
            return Err(OpenError::UnknownForm);
        };
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(OpenError::NotAuthentic)?;
        let payload = Payload {
            msg: ciphertext,
            aad: aad.as_bytes(),
        };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        plain
            .map(Zeroizing::new)
            .map_err(|_| OpenError::NotAuthentic)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.expose().into())
    }
}
