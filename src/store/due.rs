use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::{StoreError, Write};

/// Work that is due at a time, and is claimed as stages are: by one worker at a time, under a
/// token that goes up with every claim, until the claim runs out. The outbox is made of it,
/// and so are timers.
#[async_trait]
pub trait DueStore {
    /// Claims work of a kind that is due, the earliest first, at most `limit`. Of those that
    /// share an order key only the first is claimed, and none while another one of them is:
    /// they are done one after the other, in the order of their times and keys, and one that
    /// has to wait holds up those behind it.
    async fn claim_due(
        &self,
        kind: &'static str,
        owner: Uuid,
        now: SystemTime,
        claimed_until: SystemTime,
        limit: usize,
    ) -> Result<Vec<ClaimedWork>, StoreError>;

    /// When work of a kind can be claimed next: a time in the past for what is due; none if
    /// there is none.
    async fn next_due(&self, kind: &'static str) -> Result<Option<SystemTime>, StoreError>;

    /// How much work of a kind there is, claimed or not, due or not.
    async fn count_due(&self, kind: &'static str) -> Result<usize, StoreError>;
}

/// Names work.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkKey {
    /// What is to be done, such as `logs.remove`.
    pub kind: &'static str,
    /// Unique within the kind; the idempotency key of what is done.
    pub key: String,
}

/// Work that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueWork {
    /// Names it.
    pub key: WorkKey,
    /// Not before this time.
    pub at: SystemTime,
    /// Work with the same one is done in order; none: in any order.
    pub order_key: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// What the worker needs.
    pub body: Bytes,
}

/// Work that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedWork {
    /// The work; `attempts` counts this one.
    pub work: DueWork,
    /// Token of the claim: a write under an earlier one is a conflict.
    pub token: u64,
}

/// A change of due work.
#[derive(Clone, Debug)]
pub enum DueWrite {
    /// New work. One that is there already stays as it is: the key makes it idempotent.
    Add(DueWork),
    /// It was done, or will never be: it goes. A conflict if the claim is not this one.
    Done(WorkKey, u64),
    /// It is to be tried again at a time. A conflict if the claim is not this one.
    Again(WorkKey, u64, SystemTime),
    /// It is not wanted any more, claimed or not. Nothing if it is not there.
    Cancel(WorkKey),
}

impl From<DueWrite> for Write {
    fn from(write: DueWrite) -> Self {
        Self::Due(write)
    }
}

impl DueWrite {
    /// What it concerns.
    pub fn key(&self) -> &WorkKey {
        match self {
            Self::Add(work) => &work.key,
            Self::Done(key, _) | Self::Again(key, ..) | Self::Cancel(key) => key,
        }
    }
}
