//! Pipelines and jobs for tests.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::{collection::vec, prelude::*, sample::select};
use uuid::Uuid;

use crate::domain::{
    ConcurrencyPolicy, JobId, NewJob, Pipeline, PipelineId, PipelineSpec, RunCondition, Stage,
    StageAction, StageRun, StageType, Trigger, TriggerSource,
};

pub(super) const NOW: SystemTime = SystemTime::UNIX_EPOCH;

pub(super) fn stage(name: &str, needs: &[&str], run_condition: RunCondition) -> Stage {
    Stage {
        name: name.to_owned(),
        stage_type: StageType::Run,
        action: StageAction::Command("true".to_owned()),
        timeout: Duration::from_secs(600),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        run_condition,
        variables: Default::default(),
        runner_labels: Default::default(),
        working_directory: String::new(),
    }
}

pub(super) fn spec(parallel: bool, stages: Vec<Stage>) -> PipelineSpec {
    PipelineSpec {
        name: "p".to_owned(),
        stages: stages.into(),
        parallel,
        concurrency_policy: ConcurrencyPolicy::Allow,
        ..PipelineSpec::default()
    }
}

pub(super) fn pipeline(spec: PipelineSpec) -> Arc<Pipeline> {
    let id = PipelineId(Uuid::nil());
    let pipeline = Pipeline::new(id, "default".to_owned(), spec, "ada".to_owned(), NOW);
    Arc::new(pipeline.expect("a valid spec"))
}

pub(super) fn new_job(pipeline: &Arc<Pipeline>) -> NewJob {
    let stages = 0..pipeline.spec.stages.len();
    NewJob {
        id: JobId(Uuid::nil()),
        pipeline: Arc::clone(pipeline),
        git_ref: String::new(),
        commit_id: String::new(),
        trigger: Trigger {
            source: TriggerSource::Api,
            principal: "ada".to_owned(),
            trace: None,
        },
        variables: Default::default(),
        secret_variables: Default::default(),
        priority: 0,
        retried_job_id: None,
        weights: Vec::new(),
        stage_runs: stages.map(StageRun::pending).collect(),
    }
}

/// Any valid pipeline: stages that need other ones, in any order, with any conditions.
pub(super) fn any_pipeline() -> impl Strategy<Value = Arc<Pipeline>> {
    let conditions = select(vec![
        RunCondition::OnSuccess,
        RunCondition::OnFailure,
        RunCondition::Always,
    ]);
    let stages = vec((conditions, vec(any::<prop::sample::Index>(), 0..4)), 1..9);
    (any::<bool>(), stages, any::<prop::sample::Index>()).prop_map(|(parallel, stages, turn)| {
        let mut built: Vec<Stage> = Vec::new();
        for (position, (condition, needs)) in stages.iter().enumerate() {
            let mut names: Vec<String> = match position {
                0 => Vec::new(),
                _ => needs
                    .iter()
                    .map(|need| format!("s{}", need.index(position)))
                    .collect(),
            };
            names.sort();
            names.dedup();
            let has_needs = !names.is_empty() || (!parallel && position > 0);
            let condition = match condition {
                RunCondition::OnFailure if !has_needs => RunCondition::OnSuccess,
                other => *other,
            };
            let needs: Vec<&str> = names.iter().map(String::as_str).collect();
            built.push(stage(&format!("s{position}"), &needs, condition));
        }
        // In a parallel pipeline the position of a stage implies no order, so the list can
        // be rotated.
        if parallel {
            let length = built.len();
            built.rotate_left(turn.index(length));
        }
        pipeline(spec(parallel, built))
    })
}
