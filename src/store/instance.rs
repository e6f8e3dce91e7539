use std::fmt;

use uuid::Uuid;

/// Which store this is, and what outlives the process.
#[derive(Clone, PartialEq, Eq)]
pub struct Instance {
    /// Names the store; a restored backup gets another one.
    pub id: Uuid,
    /// Key of the HMAC that makes fingerprints of requests: requests carry secrets, and what
    /// is kept of them must not help to guess one.
    pub fingerprint_key: [u8; 32],
    /// What ends with the process.
    pub lifetime: Lifetime,
}

/// How long what is stored lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It ends with the process: a stop cancels the jobs.
    Process,
    /// It outlives the process: a stop leaves jobs as they are, to go on after the next start.
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
