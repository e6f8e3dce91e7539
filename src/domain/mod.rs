//! Pipelines and jobs as values and pure functions.
//!
//! No code here awaits, reads a clock, accesses a file or uses protobuf. Times and ids are
//! arguments, and effects are return values.
#![warn(clippy::wildcard_enum_match_arm)]

mod ids;
mod job;
pub mod lease;
pub mod limits;
mod pipeline;
mod project;
mod secrets;
mod text;
mod trace;
pub mod validate;
pub mod weight;

pub use ids::{FencingToken, JobId, LeaseId, PipelineId, RunnerId, SessionId};
pub use job::{
    Admission, CancelCause, Cancellation, Change, Command, Decision, Event, Failure, FailureReason,
    GapReason, Holder, Job, JobFacts, JobState, LogLoss, LogSummary, LostWorkspace, Made, NewJob,
    Origin, Outcome, PendingReason, Refusal, RetryScope, RunKey, SkipReason, StageCounts,
    StageDurations, StageResult, StageRun, StageState, StageTimes, Trigger, TriggerSource,
    admission, create, decide, retried_runs, stage_durations, stage_weights,
};
pub use lease::{
    Bindings, Candidate, Demand, Offer, QueueRank, has_labels, waits_for, workspace_owner,
};
pub use pipeline::{
    ActionKind, ConcurrencyPolicy, GraphError, Pipeline, PipelineSpec, RunCondition, Stage,
    StageAction, StageGraph, StageType, Variables, Verdict, verdict,
};
pub use project::{DEFAULT_PROJECT, Project};
pub use secrets::Secrets;
pub use text::cut;
pub use trace::TraceContext;
pub use validate::Violation;
