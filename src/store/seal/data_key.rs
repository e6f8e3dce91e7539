use super::cipher::{CipherKey, OpenError};
use crate::store::codec::{CodecError, Seal};

/// The key under which the secrets of one owner are sealed.
#[derive(Debug)]
pub struct DataKey(pub(super) CipherKey);

impl Seal for DataKey {
    fn seal(&self, aad: &str, plain: &[u8]) -> Vec<u8> {
        self.0.seal(aad, plain)
    }

    fn open(&self, aad: &str, sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        let opened = self.0.open(aad, sealed);
        let mut plain = opened.map_err(|error| CodecError::Sealed {
            aad: aad.to_owned(),
            reason: match error {
                OpenError::UnknownForm => "it is not encrypted in a form that this version knows",
                OpenError::NotAuthentic => {
                    "it is damaged, or was encrypted with another data key or for another owner"
                }
            },
        })?;
        Ok(std::mem::take(&mut plain))
    }
}
