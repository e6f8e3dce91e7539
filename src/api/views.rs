//! Converts the engine's views of jobs, runners and tasks, which have state that exists only
//! when they are read.

use crate::{
    engine::{JobView, RunnerView, RunningStage, TaskState, TaskStatus},
    proto::{
        attempt_to_proto, bytes_to_proto, duration_to_proto, job_to_proto, log_loss_to_proto,
        pending_to_proto, time_to_proto, v1,
    },
};

/// A job with the current state of its stage runs.
pub(super) fn job_view_to_proto(view: &JobView) -> v1::Job {
    let mut message = job_to_proto(&view.job);
    for (run, view) in message.stage_runs.iter_mut().zip(&view.stages) {
        run.pending_reason = pending_to_proto(view.pending_reason).into();
        run.log_size_bytes = bytes_to_proto(view.log.size);
        run.log_loss = log_loss_to_proto(view.log.loss);
    }
    message
}

pub(super) fn runner_to_proto(runner: RunnerView) -> v1::Runner {
    use v1::runner::State;
    let RunnerView {
        id,
        display_name,
        labels,
        actions,
        capacity,
        version,
        is_online,
        is_draining,
        stages,
        register_time,
        last_seen_time,
    } = runner;
    let state = if is_online {
        State::Online
    } else {
        State::Offline
    };
    v1::Runner {
        id: id.to_string(),
        display_name,
        labels,
        capacity: i32::try_from(capacity).unwrap_or(i32::MAX),
        version,
        state: state.into(),
        draining: is_draining,
        stages: stages.into_iter().map(stage_to_proto).collect(),
        register_time: Some(time_to_proto(register_time)),
        last_seen_time: Some(time_to_proto(last_seen_time)),
        actions: actions.iter().map(|kind| kind.name().to_owned()).collect(),
    }
}

fn stage_to_proto(stage: RunningStage) -> v1::runner::RunningStage {
    let RunningStage {
        job_id,
        stage_name,
        attempt,
        start_time,
    } = stage;
    v1::runner::RunningStage {
        job_id: job_id.to_string(),
        stage_name,
        attempt: attempt_to_proto(attempt),
        start_time: start_time.map(time_to_proto),
    }
}

pub(super) fn task_to_proto(task: TaskStatus) -> v1::Task {
    use v1::task::State;
    let TaskStatus {
        name,
        description,
        period,
        state,
        runs,
        failures,
        consecutive_failures,
        items,
        last_start,
        last_duration,
        last_success,
        last_error,
        next_run,
    } = task;
    let state = match state {
        TaskState::Idle => State::Idle,
        TaskState::Running => State::Running,
    };
    v1::Task {
        name: name.to_owned(),
        description: description.to_owned(),
        period: Some(duration_to_proto(period)),
        state: state.into(),
        runs: bytes_to_proto(runs),
        failures: bytes_to_proto(failures),
        consecutive_failures: attempt_to_proto(consecutive_failures),
        items: bytes_to_proto(items),
        last_start_time: last_start.map(time_to_proto),
        last_duration: last_duration.map(duration_to_proto),
        last_success_time: last_success.map(time_to_proto),
        last_error: last_error.unwrap_or_default(),
        next_run_time: next_run.map(time_to_proto),
    }
}
