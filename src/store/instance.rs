use std::fmt;

use uuid::Uuid;

/// The identity of the store, and what outlives the process.
#[derive(Clone, PartialEq, Eq)]
pub struct Instance {
    /// Identifies the store; a restored backup gets another id.
    pub id: Uuid,
    /// Key of the HMAC for request fingerprints. Requests carry secrets, and the stored
    /// fingerprint must not help to guess one.
    pub fingerprint_key: [u8; 32],
    pub lifetime: Lifetime,
}

/// How long stored data lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It ends with the process: a shutdown cancels the jobs.
    Process,
    /// It outlives the process: a shutdown leaves jobs as they are, and they continue
    /// after the next start.
    Durable,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("id", &self.id)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
