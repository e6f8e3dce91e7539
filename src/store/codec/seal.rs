//! Encryption of secrets in stored forms.

use secrecy::{ExposeSecret, SecretString};

use crate::domain::Secrets;

use super::{CodecError, messages};

/// Encrypts secrets at rest. `aad` is collection/id/name. A secret that was sealed
/// under one `aad` cannot be opened under another, so a sealed secret cannot be
/// moved.
pub trait Seal {
    fn seal(&self, aad: &str, plain: &[u8]) -> Vec<u8>;

    /// Returns the secret, or [`CodecError::Sealed`] if it was sealed with another key
    /// or under another `aad`.
    fn open(&self, aad: &str, sealed: &[u8]) -> Result<Vec<u8>, CodecError>;
}

/// No encryption, for what never leaves the process, such as snapshots of the
/// memory store. A store that writes to a disk supplies its own [`Seal`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsealed;

/// Prefix of an unencrypted value, so that it is never taken for the output of a
/// cipher, nor the other way round.
const PLAIN: u8 = 0;

impl Seal for Unsealed {
    fn seal(&self, _: &str, plain: &[u8]) -> Vec<u8> {
        [&[PLAIN], plain].concat()
    }

    fn open(&self, aad: &str, sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        match sealed {
            [PLAIN, plain @ ..] => Ok(plain.to_vec()),
            _ => Err(CodecError::Sealed {
                aad: aad.to_owned(),
                reason: "it is encrypted, and there is no key",
            }),
        }
    }
}

/// Seals all secrets under `owner`, which is collection/id.
pub(super) fn seal_all(
    secrets: &Secrets,
    owner: &str,
    seal: &dyn Seal,
) -> Vec<messages::SealedSecret> {
    let sealed = |(name, value): (&String, &SecretString)| {
        let plain = value.expose_secret().as_bytes();
        messages::SealedSecret {
            name: name.clone(),
            sealed: seal.seal(&format!("{owner}/{name}"), plain).into(),
        }
    };
    secrets.iter().map(sealed).collect()
}

pub(super) fn open_all(
    secrets: Vec<messages::SealedSecret>,
    owner: &str,
    seal: &dyn Seal,
) -> Result<Secrets, CodecError> {
    let opened = |secret: messages::SealedSecret| {
        let messages::SealedSecret { name, sealed } = secret;
        let aad = format!("{owner}/{name}");
        let plain = seal.open(&aad, &sealed)?;
        // The conversion error would contain the secret.
        let Ok(value) = String::from_utf8(plain) else {
            let reason = "what is in it is not UTF-8";
            return Err(CodecError::Sealed { aad, reason });
        };
        Ok((name, value))
    };
    secrets.into_iter().map(opened).collect()
}
