use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::{StoreError, Write};

/// Work that is due at a time. Like a stage it is claimed by one worker at a time,
/// under a token that increases with every claim, until the claim expires. The
/// outbox and timers are built on it.
#[async_trait]
pub trait DueStore {
    /// Claims due work of a kind, the earliest first, at most `limit`. Of items that share
    /// an order key only the first is claimed, and none while another one of them is
    /// claimed: they are done one after the other, in the order of their times and keys.
    /// One that has to wait blocks those behind it.
    async fn claim_due(
        &self,
        kind: &'static str,
        owner: Uuid,
        now: SystemTime,
        claimed_until: SystemTime,
        limit: usize,
    ) -> Result<Vec<ClaimedWork>, StoreError>;

    /// When work of a kind can be claimed next: a time in the past if it is due; `None`
    /// if there is none.
    async fn next_due(&self, kind: &'static str) -> Result<Option<SystemTime>, StoreError>;

    /// Count of the work of a kind, claimed or not, due or not.
    async fn count_due(&self, kind: &'static str) -> Result<usize, StoreError>;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkKey {
    /// What is to be done, such as `logs.remove`.
    pub kind: &'static str,
    /// Unique within the kind; the idempotency key of the operation.
    pub key: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueWork {
    pub key: WorkKey,
    /// Not before this time.
    pub at: SystemTime,
    /// Work with the same key is done in order; `None`: in any order.
    pub order_key: Option<String>,
    pub attempts: u32,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedWork {
    /// The work; `attempts` includes this attempt.
    pub work: DueWork,
    /// Token of the claim: a write under an earlier one is a conflict.
    pub token: u64,
}

#[derive(Clone, Debug)]
pub enum DueWrite {
    /// Adds new work. Existing work with the key is not changed, which makes this
    /// idempotent.
    Add(DueWork),
    /// Removes work that is done, or is given up. A conflict if this is not the current
    /// claim.
    Done(WorkKey, u64),
    /// Retries the work at a time. A conflict if this is not the current claim.
    Again(WorkKey, u64, SystemTime),
    /// Cancels work that is not wanted any more, claimed or not. Does nothing if it is
    /// absent.
    Cancel(WorkKey),
}

impl From<DueWrite> for Write {
    fn from(write: DueWrite) -> Self {
        Self::Due(write)
    }
}

impl DueWrite {
    pub fn key(&self) -> &WorkKey {
        match self {
            Self::Add(work) => &work.key,
            Self::Done(key, _) | Self::Again(key, ..) | Self::Cancel(key) => key,
        }
    }
}
