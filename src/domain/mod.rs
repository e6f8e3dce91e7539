//! Pipelines and jobs as values and pure functions.
//!
//! Nothing here awaits, reads a clock, touches a file or knows protobuf: time
//! and ids come in as arguments, effects go out as values.
#![warn(clippy::wildcard_enum_match_arm)]

mod decide;
mod draft;
mod event;
mod graph;
mod ids;
mod job;
pub mod lease;
pub mod limits;
mod loss;
mod memo;
mod outcome;
mod pipeline;
mod retry;
mod schedule;
mod secrets;
#[cfg(test)]
mod tests;
mod text;
mod trace;
pub mod validate;
mod weights;

pub use decide::{Command, Decision, LostWorkspace, NewJob, Refusal, StageResult, create, decide};
pub use event::{Change, Event, Made};
pub use graph::{GraphError, StageGraph, Verdict, verdict};
pub use ids::{FencingToken, JobId, LeaseId, PipelineId, RunnerId, SessionId};
pub use job::{
    CancelCause, Cancellation, Failure, FailureReason, Holder, Job, JobState, Origin,
    PendingReason, RunKey, SkipReason, StageRun, StageState, Trigger, TriggerSource,
};
pub use memo::Memo;
pub use outcome::Outcome;
pub use pipeline::{
    ConcurrencyPolicy, Pipeline, PipelineSpec, RunCondition, Stage, StageType, Variables,
};
pub use retry::{RetryScope, retried_runs};
pub use schedule::{
    Admission, Bindings, QueueRank, admission, has_labels, waits_for, workspace_owner,
};
pub use secrets::Secrets;
pub use text::cut;
pub use trace::TraceContext;
pub use validate::Violation;
pub use weights::stage_weights;
