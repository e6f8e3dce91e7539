use crate::{
    domain::FencingToken,
    store::{Instance, Lifetime},
};

use super::{
    CodecError, Kind, Stored, messages,
    primitives::{Numbered, id_from_bytes, id_to_bytes, numbered},
};

/// The values that exist once per store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInstance {
    pub instance: Instance,
    /// Fencing token of the next lease.
    pub next_token: FencingToken,
    /// Token of the newest claim of due work; 0 before the first.
    pub last_claim: u64,
}

numbered!(Lifetime: Process, Durable);

impl Stored for StoredInstance {
    const KIND: Kind = Kind::Instance;
    type Message = messages::Instance;

    fn to_message(&self) -> Self::Message {
        let Self {
            instance,
            next_token,
            last_claim,
        } = self;
        let Instance {
            id,
            fingerprint_key,
            lifetime,
        } = instance;
        messages::Instance {
            id: id_to_bytes(*id),
            fingerprint_key: fingerprint_key.to_vec().into(),
            lifetime: lifetime.number(),
            next_token: next_token.0,
            last_claim: *last_claim,
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::Instance {
            id,
            fingerprint_key: key,
            lifetime,
            next_token,
            last_claim,
        } = message;
        let found = key.len();
        let instance = Instance {
            id: id_from_bytes(&id, "Instance.id")?,
            fingerprint_key: <[u8; 32]>::try_from(&*key).map_err(|_| CodecError::Invalid {
                field: "Instance.fingerprint_key",
                found: format!("{found} bytes"),
                expected: "32 bytes",
            })?,
            lifetime: Numbered::from_number(lifetime, "Instance.lifetime")?,
        };
        Ok(Self {
            instance,
            next_token: FencingToken(next_token),
            last_claim,
        })
    }
}
