use std::collections::BTreeMap;

use crate::domain::{Job, Pipeline, StageState};

/// Durations of a job's succeeded stages in milliseconds, at least 1 each, by stage name.
pub type StageDurations = BTreeMap<String, u64>;

pub fn stage_durations(job: &Job) -> StageDurations {
    job.newest_runs()
        .filter(|run| run.state == StageState::Succeeded)
        .filter_map(|run| {
            let duration = run.end_time?.duration_since(run.start_time?).ok()?;
            let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            Some((job.stage(run).name.clone(), millis.max(1)))
        })
        .collect()
}

/// The weights of a new job's stages in its progress: the duration of the stage of the same
/// name in an earlier job or, for a stage that it did not have, the mean of the others. Empty
/// if no duration is known; then all weights are equal.
pub fn stage_weights(pipeline: &Pipeline, durations: &StageDurations) -> Vec<u64> {
    let stages = &pipeline.spec.stages;
    let of_stage = |name: &str| durations.get(name).copied();
    let known: Vec<u64> = stages
        .iter()
        .filter_map(|stage| of_stage(&stage.name))
        .collect();
    let Some(count) = u64::try_from(known.len()).ok().filter(|count| *count > 0) else {
        return Vec::new();
    };
    let sum = known
        .iter()
        .fold(0u64, |sum, duration| sum.saturating_add(*duration));
    let mean = sum / count;
    stages
        .iter()
        .map(|stage| of_stage(&stage.name).unwrap_or(mean))
        .collect()
}
