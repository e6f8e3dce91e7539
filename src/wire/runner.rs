//! Runners, as `runner_service.proto` shows them.

use std::{collections::BTreeMap, time::SystemTime};

use crate::domain::{JobId, RunnerId};

use super::{job::attempt_to_proto, time::time_to_proto, v1};

/// A runner as it is now.
#[derive(Clone, Debug)]
pub struct RunnerView {
    /// Names it.
    pub id: RunnerId,
    /// For people.
    pub display_name: String,
    /// What it offers.
    pub labels: BTreeMap<String, String>,
    /// Stages that it runs at once.
    pub capacity: usize,
    /// Version of its program.
    pub version: String,
    /// It was heard of within a lease's life.
    pub is_online: bool,
    /// It is given no new jobs.
    pub is_draining: bool,
    /// The stages that it runs.
    pub stages: Vec<RunningStage>,
    /// When this process of it came.
    pub register_time: SystemTime,
    /// When it was heard of last.
    pub last_seen_time: SystemTime,
}

/// A stage that a runner holds a live lease on.
#[derive(Clone, Debug)]
pub struct RunningStage {
    /// Its job.
    pub job_id: JobId,
    /// Its name.
    pub stage_name: String,
    /// Attempt at it.
    pub attempt: u32,
    /// When the runner took it.
    pub start_time: Option<SystemTime>,
}

/// A runner as clients see it.
pub fn runner_to_proto(runner: RunnerView) -> v1::Runner {
    use v1::runner::State;
    let RunnerView {
        id,
        display_name,
        labels,
        capacity,
        version,
        is_online,
        is_draining,
        stages,
        register_time,
        last_seen_time,
    } = runner;
    let state = match is_online {
        true => State::Online,
        false => State::Offline,
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
