use std::sync::Arc;

use crate::domain::{Job, SkipReason, StageRun, StageState};

/// Which stages a retry runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryScope {
    AllStages,
    /// The stages that did not succeed, and all stages that depend on them.
    FailedStages,
}

/// The stage runs with which a retry of an ended job starts; none if no stage would run.
pub fn retried_runs(job: &Job, scope: RetryScope) -> Option<Vec<Arc<StageRun>>> {
    let stages = 0..job.pipeline.spec.stages.len();
    match scope {
        RetryScope::AllStages => Some(stages.map(StageRun::pending).collect()),
        RetryScope::FailedStages => {
            let again: Vec<bool> = stages.clone().map(|stage| runs_again(job, stage)).collect();
            let run = |stage: usize| {
                if again[stage] {
                    StageRun::pending(stage)
                } else {
                    carried_over(job, stage)
                }
            };
            again.contains(&true).then(|| stages.map(run).collect())
        }
    }
}

fn runs_again(job: &Job, stage: usize) -> bool {
    let depends_on = job.pipeline.graph.depends_on(stage);
    depends_on
        .iter()
        .chain([&stage])
        .any(|&stage| is_unfinished(job.newest_run(stage).state))
}

/// A stage that was skipped because of its condition counts as finished.
fn is_unfinished(state: StageState) -> bool {
    match state {
        StageState::Succeeded | StageState::Skipped(SkipReason::Condition) => false,
        StageState::Failed
        | StageState::Cancelled
        | StageState::Skipped(SkipReason::NeedsFailed | SkipReason::Cancelled)
        | StageState::Pending
        | StageState::Queued
        | StageState::Running => true,
    }
}

/// The earlier run, unchanged. Its log stays with the job that ran it.
fn carried_over(job: &Job, stage: usize) -> Arc<StageRun> {
    let run = StageRun::clone(job.newest_run(stage));
    Arc::new(StageRun {
        carried_from: match run.state {
            StageState::Succeeded => run.carried_from.or(Some(job.id)),
            StageState::Pending
            | StageState::Queued
            | StageState::Running
            | StageState::Failed
            | StageState::Cancelled
            | StageState::Skipped(_) => None,
        },
        ..run
    })
}
