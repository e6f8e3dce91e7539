//! Parts of jobs and of their events: stage runs, failures and cancellations.

use std::sync::Arc;

use crate::domain::{
    CancelCause, Cancellation, Failure, FailureReason, JobId, JobState, LogLoss, LogSummary,
    SkipReason, StageRun, StageState,
};

use super::{
    CodecError,
    lease::{holder_from_message, holder_to_message},
    messages::{self, cancellation::Cause},
    primitives::{
        Numbered, id_from_bytes, id_to_bytes, numbered, position_to_stored, small, time_from_nanos,
        time_to_nanos,
    },
};

numbered!(JobState: Queued, Running, Cancelling, Succeeded, Failed, Cancelled);

/// The number of a state in stored forms, for a column of its own.
pub fn job_state_number(state: JobState) -> i32 {
    state.number()
}
numbered!(FailureReason: CommandFailed, TimedOut, CheckoutFailed, RunnerError, RunnerLost);

impl Numbered for StageState {
    fn number(self) -> i32 {
        i32::from(match self {
            Self::Pending => messages::StageState::Pending,
            Self::Queued => messages::StageState::Queued,
            Self::Running => messages::StageState::Running,
            Self::Succeeded => messages::StageState::Succeeded,
            Self::Failed => messages::StageState::Failed,
            Self::Cancelled => messages::StageState::Cancelled,
            Self::Skipped(SkipReason::NeedsFailed) => messages::StageState::SkippedNeedsFailed,
            Self::Skipped(SkipReason::Condition) => messages::StageState::SkippedCondition,
            Self::Skipped(SkipReason::Cancelled) => messages::StageState::SkippedCancelled,
        })
    }

    fn from_number(number: i32, field: &'static str) -> Result<Self, CodecError> {
        Ok(match messages::StageState::try_from(number) {
            Ok(messages::StageState::Pending) => Self::Pending,
            Ok(messages::StageState::Queued) => Self::Queued,
            Ok(messages::StageState::Running) => Self::Running,
            Ok(messages::StageState::Succeeded) => Self::Succeeded,
            Ok(messages::StageState::Failed) => Self::Failed,
            Ok(messages::StageState::Cancelled) => Self::Cancelled,
            Ok(messages::StageState::SkippedNeedsFailed) => Self::Skipped(SkipReason::NeedsFailed),
            Ok(messages::StageState::SkippedCondition) => Self::Skipped(SkipReason::Condition),
            Ok(messages::StageState::SkippedCancelled) => Self::Skipped(SkipReason::Cancelled),
            Ok(messages::StageState::Unspecified) | Err(_) => {
                let found = number;
                return Err(CodecError::UnknownValue { field, found });
            }
        })
    }
}

pub(super) fn run_to_message(run: &StageRun) -> messages::StageRun {
    let StageRun {
        stage,
        attempt,
        state,
        progress_percent,
        exit_code,
        failure,
        holder,
        log,
        queue_time,
        start_time,
        end_time,
        carried_from,
        returns,
    } = run;
    messages::StageRun {
        stage: position_to_stored(*stage),
        attempt: *attempt,
        state: state.number(),
        progress_percent: u32::from(*progress_percent),
        exit_code: *exit_code,
        failure: failure.as_deref().map(failure_to_message),
        holder: holder.map(holder_to_message),
        log_size: log.size,
        log_loss: loss_to_message(log.loss),
        queue_time: queue_time.map(time_to_nanos),
        start_time: start_time.map(time_to_nanos),
        end_time: end_time.map(time_to_nanos),
        carried_from: carried_from.map(|id| id_to_bytes(id.0)),
        returns: u32::from(*returns),
    }
}

pub(super) fn run_from_message(run: messages::StageRun) -> Result<Arc<StageRun>, CodecError> {
    let messages::StageRun {
        stage,
        attempt,
        state,
        progress_percent,
        exit_code,
        failure,
        holder,
        log_size,
        log_loss,
        queue_time,
        start_time,
        end_time,
        carried_from,
        returns,
    } = run;
    let run = StageRun {
        stage: stage as usize,
        attempt,
        state: Numbered::from_number(state, "StageRun.state")?,
        progress_percent: small(progress_percent, "StageRun.progress_percent")?,
        exit_code,
        failure: failure.map(failure_from_message).transpose()?,
        holder: holder.map(holder_from_message).transpose()?,
        log: LogSummary {
            size: log_size,
            loss: log_loss.map(loss_from_message).unwrap_or_default(),
        },
        queue_time: queue_time.map(time_from_nanos),
        start_time: start_time.map(time_from_nanos),
        end_time: end_time.map(time_from_nanos),
        carried_from: job_id(carried_from, "StageRun.carried_from")?,
        returns: small(returns, "StageRun.returns")?,
    };
    // Waiting jobs share their pending runs, as there may be very many such jobs.
    let pending = StageRun::pending(run.stage);
    Ok(if *pending == run {
        pending
    } else {
        Arc::new(run)
    })
}

/// None for a log of which nothing is missing, as nearly all are.
fn loss_to_message(loss: LogLoss) -> Option<messages::LogLoss> {
    let LogLoss {
        size_limit,
        runner_dropped,
        not_stored,
    } = loss;
    (!loss.is_none()).then_some(messages::LogLoss {
        size_limit,
        runner_dropped,
        not_stored,
    })
}

fn loss_from_message(loss: messages::LogLoss) -> LogLoss {
    let messages::LogLoss {
        size_limit,
        runner_dropped,
        not_stored,
    } = loss;
    LogLoss {
        size_limit,
        runner_dropped,
        not_stored,
    }
}

pub(super) fn job_id(
    id: Option<bytes::Bytes>,
    field: &'static str,
) -> Result<Option<JobId>, CodecError> {
    let id = id.map(|id| id_from_bytes(&id, field)).transpose()?;
    Ok(id.map(JobId))
}

pub(super) fn failure_to_message(failure: &Failure) -> messages::Failure {
    let Failure {
        reason,
        message,
        stage_name,
    } = failure;
    messages::Failure {
        reason: reason.number(),
        message: message.clone(),
        stage_name: stage_name.clone(),
    }
}

pub(super) fn failure_from_message(failure: messages::Failure) -> Result<Arc<Failure>, CodecError> {
    let messages::Failure {
        reason,
        message,
        stage_name,
    } = failure;
    Ok(Arc::new(Failure {
        reason: Numbered::from_number(reason, "Failure.reason")?,
        message,
        stage_name,
    }))
}

pub(super) fn cancellation_to_message(cancellation: &Cancellation) -> messages::Cancellation {
    let Cancellation {
        cause,
        reason,
        principal,
    } = cancellation;
    let cause = match cause {
        CancelCause::Requested => Cause::Requested(messages::cancellation::Requested {}),
        CancelCause::Superseded(newer) => Cause::Superseded(id_to_bytes(newer.0)),
        CancelCause::PipelineDeleted => {
            Cause::PipelineDeleted(messages::cancellation::PipelineDeleted {})
        }
        CancelCause::ServerStopped => {
            Cause::ServerStopped(messages::cancellation::ServerStopped {})
        }
    };
    messages::Cancellation {
        cause: Some(cause),
        reason: reason.clone(),
        principal: principal.clone(),
    }
}

pub(super) fn cancellation_from_message(
    cancellation: messages::Cancellation,
) -> Result<Arc<Cancellation>, CodecError> {
    let messages::Cancellation {
        cause,
        reason,
        principal,
    } = cancellation;
    let field = "Cancellation.cause";
    let cause = match cause.ok_or(CodecError::UnknownCase { field })? {
        Cause::Requested(messages::cancellation::Requested {}) => CancelCause::Requested,
        Cause::Superseded(newer) => CancelCause::Superseded(JobId(id_from_bytes(&newer, field)?)),
        Cause::PipelineDeleted(messages::cancellation::PipelineDeleted {}) => {
            CancelCause::PipelineDeleted
        }
        Cause::ServerStopped(messages::cancellation::ServerStopped {}) => {
            CancelCause::ServerStopped
        }
    };
    Ok(Arc::new(Cancellation {
        cause,
        reason,
        principal,
    }))
}
