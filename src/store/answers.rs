use std::time::SystemTime;

use uuid::Uuid;

use crate::domain::{JobId, PipelineId};

/// Names a call that may be repeated: its idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    /// Name of the principal that called.
    pub principal: String,
    /// What was called.
    pub method: String,
    /// The id that the caller chose.
    pub request_id: Uuid,
}

/// The first answer to a request id. Kept for 24 h, or until there are 1,000,000 and it is
/// older than 1 h.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HMAC of the request, to know a repetition from another request.
    pub fingerprint: [u8; 32],
    /// What was answered.
    pub answer: Answer,
    /// When.
    pub time: SystemTime,
}

/// What a call with a request id answered, by reference: nothing is embedded, so that kept
/// answers are small and no second copy of a value has to be kept right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing but OK.
    Nothing,
    /// A revision of a pipeline.
    Pipeline(PipelineId, i64),
    /// A job as it was after the event of this sequence.
    Job(JobId, i64),
    /// A project as it was at a version.
    Project(String, u64),
}
