use std::time::SystemTime;

use uuid::Uuid;

use crate::domain::{JobId, PipelineId};

/// The idempotency key of a call: the caller, the method, and the id that the
/// client chose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    pub principal: String,
    pub method: String,
    pub request_id: Uuid,
}

/// The idempotency record of a request id: a reference to the first response. Kept
/// for 24 h, or until there are 1,000,000 and it is older than 1 h.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HMAC of the request, to tell a repeated request from a different one with the
    /// same id.
    pub fingerprint: [u8; 32],
    pub answer: Answer,
    pub time: SystemTime,
}

/// What a call with a request id returned, by reference. Nothing is embedded, so
/// the record stays small and no second copy of a value has to be kept consistent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Only OK, without a value.
    Nothing,
    /// A pipeline at a revision.
    Pipeline(PipelineId, i64),
    /// A job as it was after the event with this sequence.
    Job(JobId, i64),
    /// A project as it was at a version.
    Project(String, u64),
}
