//! `job.proto`.

use crate::domain::{
    CancelCause, Cancellation, Failure, FailureReason, Job, JobState, LogLoss, Origin,
    PendingReason, SkipReason, StageRun, StageState, Trigger, TriggerSource,
};

use super::{pipeline::type_to_proto, time::time_to_proto, v1};

/// Converts a job with its stage runs, without the state that exists only when it is read.
pub fn job_to_proto(job: &Job) -> v1::Job {
    let stage_runs = job.stage_runs.iter();
    v1::Job {
        stage_runs: stage_runs.map(|run| stage_run_to_proto(job, run)).collect(),
        ..job_summary_to_proto(job)
    }
}

/// A job without its stage runs.
pub fn job_summary_to_proto(job: &Job) -> v1::Job {
    let Job {
        origin,
        state,
        progress_percent,
        stage_runs: _,
        commit_id,
        failure,
        start_time,
        end_time,
        last_sequence,
        last_time: _,
        cancellation,
    } = job;
    let Origin {
        id,
        pipeline,
        number,
        git_ref,
        trigger,
        retried_job_id,
        variables,
        secret_variables,
        priority,
        weights: _,
        create_time,
    } = &**origin;
    v1::Job {
        id: id.to_string(),
        pipeline_id: pipeline.id.to_string(),
        pipeline_revision: pipeline.revision,
        project: pipeline.project.clone(),
        state: state_to_proto(*state).into(),
        progress_percent: i32::from(*progress_percent),
        stage_runs: Vec::new(),
        git_ref: git_ref.clone(),
        commit_id: commit_id.clone(),
        trigger: Some(trigger_to_proto(trigger)),
        retried_job_id: optional_id(retried_job_id.as_ref()),
        failure: failure.as_deref().map(failure_to_proto),
        variables: variables.clone(),
        priority: *priority,
        create_time: Some(time_to_proto(*create_time)),
        start_time: start_time.map(time_to_proto),
        end_time: end_time.map(time_to_proto),
        last_sequence: *last_sequence,
        cancellation: cancellation.as_deref().map(cancellation_to_proto),
        pipeline_name: pipeline.spec.name.clone(),
        number: *number,
        secret_variable_names: secret_variables.names().cloned().collect(),
    }
}

/// Converts a stage run, without the state that exists only when it is read.
pub(super) fn stage_run_to_proto(job: &Job, run: &StageRun) -> v1::StageRun {
    let stage = job.stage(run);
    let StageRun {
        stage: _,
        attempt,
        state,
        progress_percent,
        exit_code,
        failure,
        holder,
        log,
        queue_time: _,
        start_time,
        end_time,
        carried_from,
        returns: _,
    } = run;
    let (state, skip_reason) = stage_state_to_proto(*state);
    v1::StageRun {
        stage_name: stage.name.clone(),
        attempt: attempt_to_proto(*attempt),
        r#type: type_to_proto(stage.stage_type).into(),
        state: state.into(),
        progress_percent: i32::from(*progress_percent),
        exit_code: *exit_code,
        failure: failure.as_deref().map(failure_to_proto),
        pending_reason: pending_to_proto(None).into(),
        skip_reason: skip_reason.into(),
        runner_id: optional_id(holder.as_ref().map(|holder| &holder.runner_id)),
        log_size_bytes: bytes_to_proto(log.size),
        start_time: start_time.map(time_to_proto),
        end_time: end_time.map(time_to_proto),
        carried_from_job_id: optional_id(carried_from.as_ref()),
        log_loss: log_loss_to_proto(log.loss),
    }
}

/// Converts the state in a filter; none for one that no job can be in.
pub fn state_from_proto(state: i32) -> Option<JobState> {
    match v1::job::State::try_from(state).ok()? {
        v1::job::State::Unspecified => None,
        v1::job::State::Queued => Some(JobState::Queued),
        v1::job::State::Running => Some(JobState::Running),
        v1::job::State::Cancelling => Some(JobState::Cancelling),
        v1::job::State::Succeeded => Some(JobState::Succeeded),
        v1::job::State::Failed => Some(JobState::Failed),
        v1::job::State::Cancelled => Some(JobState::Cancelled),
    }
}

fn state_to_proto(state: JobState) -> v1::job::State {
    match state {
        JobState::Queued => v1::job::State::Queued,
        JobState::Running => v1::job::State::Running,
        JobState::Cancelling => v1::job::State::Cancelling,
        JobState::Succeeded => v1::job::State::Succeeded,
        JobState::Failed => v1::job::State::Failed,
        JobState::Cancelled => v1::job::State::Cancelled,
    }
}

fn stage_state_to_proto(state: StageState) -> (v1::stage_run::State, v1::stage_run::SkipReason) {
    use v1::stage_run::{SkipReason as Skip, State};
    match state {
        StageState::Pending => (State::Pending, Skip::Unspecified),
        StageState::Queued => (State::Queued, Skip::Unspecified),
        StageState::Running => (State::Running, Skip::Unspecified),
        StageState::Succeeded => (State::Succeeded, Skip::Unspecified),
        StageState::Failed => (State::Failed, Skip::Unspecified),
        StageState::Cancelled => (State::Cancelled, Skip::Unspecified),
        StageState::Skipped(SkipReason::NeedsFailed) => (State::Skipped, Skip::NeedsFailed),
        StageState::Skipped(SkipReason::Condition) => (State::Skipped, Skip::Condition),
        StageState::Skipped(SkipReason::Cancelled) => (State::Skipped, Skip::Cancelled),
    }
}

/// Converts the reason why a stage run has not started.
pub fn pending_to_proto(reason: Option<PendingReason>) -> v1::stage_run::PendingReason {
    use v1::stage_run::PendingReason as Wire;
    match reason {
        None => Wire::Unspecified,
        Some(PendingReason::Needs) => Wire::Needs,
        Some(PendingReason::Concurrency) => Wire::Concurrency,
        Some(PendingReason::NoMatchingRunner) => Wire::NoMatchingRunner,
        Some(PendingReason::RunnersBusy) => Wire::RunnersBusy,
        Some(PendingReason::NoCapableRunner) => Wire::NoCapableRunner,
    }
}

fn failure_to_proto(failure: &Failure) -> v1::Failure {
    let Failure {
        reason,
        message,
        stage_name,
    } = failure;
    let reason = match reason {
        FailureReason::CommandFailed => v1::failure::Reason::CommandFailed,
        FailureReason::TimedOut => v1::failure::Reason::TimedOut,
        FailureReason::CheckoutFailed => v1::failure::Reason::CheckoutFailed,
        FailureReason::RunnerError => v1::failure::Reason::RunnerError,
        FailureReason::RunnerLost => v1::failure::Reason::RunnerLost,
    };
    v1::Failure {
        reason: reason.into(),
        message: message.clone(),
        stage_name: stage_name.clone(),
    }
}

fn cancellation_to_proto(cancellation: &Cancellation) -> v1::Cancellation {
    use v1::cancellation::Cause;
    let Cancellation {
        cause,
        reason,
        principal,
    } = cancellation;
    let (cause, superseding) = match cause {
        CancelCause::Requested => (Cause::Requested, None),
        CancelCause::Superseded(by) => (Cause::Superseded, Some(by)),
        CancelCause::PipelineDeleted => (Cause::PipelineDeleted, None),
        CancelCause::ServerStopped => (Cause::ServerStopped, None),
    };
    v1::Cancellation {
        cause: cause.into(),
        reason: reason.clone(),
        principal: principal.clone(),
        superseding_job_id: optional_id(superseding),
    }
}

fn trigger_to_proto(trigger: &Trigger) -> v1::Trigger {
    let Trigger {
        source,
        principal,
        trace: _,
    } = trigger;
    let source = match source {
        TriggerSource::Api => v1::trigger::Source::Api,
        TriggerSource::Retry => v1::trigger::Source::Retry,
    };
    v1::Trigger {
        source: source.into(),
        principal: principal.clone(),
    }
}

/// What is missing of a log; none if nothing is.
pub fn log_loss_to_proto(loss: LogLoss) -> Option<v1::LogLoss> {
    let LogLoss {
        size_limit,
        runner_dropped,
        not_stored,
    } = loss;
    (!loss.is_none()).then(|| v1::LogLoss {
        size_limit_bytes: bytes_to_proto(size_limit),
        runner_dropped_bytes: bytes_to_proto(runner_dropped),
        not_stored_bytes: bytes_to_proto(not_stored),
    })
}

/// The number of an attempt.
pub fn attempt_to_proto(attempt: u32) -> i32 {
    i32::try_from(attempt).unwrap_or(i32::MAX)
}

fn optional_id(id: Option<&impl ToString>) -> String {
    id.map(ToString::to_string).unwrap_or_default()
}

/// Converts a number of bytes.
pub fn bytes_to_proto(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
