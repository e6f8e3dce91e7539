use std::collections::BTreeMap;

use crate::domain::{Job, Pipeline, StageState};

/// Milliseconds that the stages of a job took, at least 1 each, by the stage's name; only
/// of those that succeeded.
pub type StageDurations = BTreeMap<String, u64>;

/// What the stages of a job took.
pub fn stage_durations(job: &Job) -> StageDurations {
    job.newest_runs()
        .filter(|run| run.state == StageState::Succeeded)
        .filter_map(|run| {
            let took = run.end_time?.duration_since(run.start_time?).ok()?;
            let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            Some((job.stage(run).name.clone(), millis.max(1)))
        })
        .collect()
}

/// What each stage counts for in a new job's progress: what the stage of the same name took
/// in an earlier job, and for one that it did not have, the mean of the others. None at all
/// if nothing is known: then all count alike.
pub fn stage_weights(pipeline: &Pipeline, took: &StageDurations) -> Vec<u64> {
    let stages = &pipeline.spec.stages;
    let of_stage = |name: &str| took.get(name).copied();
    let known: Vec<u64> = stages
        .iter()
        .filter_map(|stage| of_stage(&stage.name))
        .collect();
    let Some(number) = u64::try_from(known.len()).ok().filter(|number| *number > 0) else {
        return Vec::new();
    };
    let sum = known
        .iter()
        .fold(0u64, |sum, took| sum.saturating_add(*took));
    let mean = sum / number;
    stages
        .iter()
        .map(|stage| of_stage(&stage.name).unwrap_or(mean))
        .collect()
}
