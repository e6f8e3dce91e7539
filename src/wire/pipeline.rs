//! `pipeline.proto`.

use crate::domain::{
    ConcurrencyPolicy, Pipeline, PipelineSpec, RunCondition, Stage, StageType, Violation, limits,
};

use super::{
    time::{duration_from_proto, duration_to_proto, time_to_proto},
    v1,
};

/// What a client sent of a pipeline: what it may set, and what it claims of the
/// pipeline that it means.
#[derive(Clone, Debug)]
pub struct PipelineDraft {
    /// The pipeline meant; empty in a create.
    pub id: String,
    /// The project; empty for the default one.
    pub project: String,
    /// The etag of what the client has read; empty for any.
    pub etag: String,
    /// What clients may change; of the secret variables the changes, not the result.
    pub spec: PipelineSpec,
}

/// Reads a pipeline that a client sent. Output-only fields are ignored.
pub fn pipeline_from_proto(pipeline: v1::Pipeline) -> Result<PipelineDraft, Vec<Violation>> {
    let v1::Pipeline {
        id,
        project,
        name,
        git_repository,
        default_ref,
        stages,
        parallel,
        variables,
        concurrency_policy,
        annotations,
        revision: _,
        etag,
        create_time: _,
        update_time: _,
        creator: _,
        secret_variables,
        secret_variable_names: _,
    } = pipeline;
    let mut violations = Vec::new();
    let spec = PipelineSpec {
        name,
        git_repository,
        default_ref,
        stages: stages
            .into_iter()
            .enumerate()
            .map(|(position, stage)| stage_from_proto(position, stage, &mut violations))
            .collect(),
        parallel,
        variables,
        secret_variables: secret_variables.into_iter().collect(),
        concurrency_policy: known(concurrency_policy, "concurrency_policy", &mut violations)
            .map_or_else(Default::default, policy_from_proto),
        annotations,
    };
    match violations.is_empty() {
        true => Ok(PipelineDraft {
            id,
            project,
            etag,
            spec,
        }),
        false => Err(violations),
    }
}

fn stage_from_proto(position: usize, stage: v1::Stage, violations: &mut Vec<Violation>) -> Stage {
    let v1::Stage {
        name,
        r#type,
        action,
        timeout,
        needs,
        run_condition,
        variables,
        runner_labels,
        working_directory,
    } = stage;
    let path = |field: &str| format!("stages[{position}].{field}");
    let timeout = match timeout.map(duration_from_proto) {
        None => limits::DEFAULT_TIMEOUT,
        Some(Ok(timeout)) => timeout,
        Some(Err(description)) => {
            let description = format!("{description}; must be 1 s to 24 h (86400 s)");
            refuse(violations, &path("timeout"), description);
            limits::DEFAULT_TIMEOUT
        }
    };
    Stage {
        name,
        stage_type: known(r#type, &path("type"), violations)
            .map_or_else(Default::default, type_from_proto),
        command: match action {
            Some(v1::stage::Action::Command(command)) => command,
            None => String::new(),
        },
        timeout,
        needs,
        run_condition: known(run_condition, &path("run_condition"), violations)
            .map_or_else(Default::default, condition_from_proto),
        variables,
        runner_labels,
        working_directory,
    }
}

/// The value of an enum field, or a violation if this version does not know it.
fn known<E: TryFrom<i32>>(number: i32, field: &str, violations: &mut Vec<Violation>) -> Option<E> {
    let value = E::try_from(number).ok();
    if value.is_none() {
        let description = format!("has the value {number}, which this version does not know");
        refuse(violations, field, description);
    }
    value
}

fn refuse(violations: &mut Vec<Violation>, field: &str, description: String) {
    if violations.len() < limits::MAX_VIOLATIONS {
        violations.push(Violation::new(field, description));
    }
}

fn policy_from_proto(policy: v1::ConcurrencyPolicy) -> ConcurrencyPolicy {
    match policy {
        v1::ConcurrencyPolicy::Unspecified | v1::ConcurrencyPolicy::Allow => {
            ConcurrencyPolicy::Allow
        }
        v1::ConcurrencyPolicy::Queue => ConcurrencyPolicy::Queue,
        v1::ConcurrencyPolicy::CancelRunning => ConcurrencyPolicy::CancelRunning,
    }
}

fn type_from_proto(stage_type: v1::stage::Type) -> StageType {
    match stage_type {
        v1::stage::Type::Unspecified | v1::stage::Type::Run => StageType::Run,
        v1::stage::Type::Build => StageType::Build,
        v1::stage::Type::Deploy => StageType::Deploy,
    }
}

fn condition_from_proto(condition: v1::RunCondition) -> RunCondition {
    match condition {
        v1::RunCondition::Unspecified | v1::RunCondition::OnSuccess => RunCondition::OnSuccess,
        v1::RunCondition::OnFailure => RunCondition::OnFailure,
        v1::RunCondition::Always => RunCondition::Always,
    }
}

/// A pipeline as clients see it.
pub fn pipeline_to_proto(pipeline: &Pipeline) -> v1::Pipeline {
    let etag = pipeline.etag();
    let Pipeline {
        id,
        project,
        revision,
        create_time,
        update_time,
        creator,
        spec,
        graph: _,
    } = pipeline;
    v1::Pipeline {
        id: id.to_string(),
        project: project.clone(),
        revision: *revision,
        etag,
        create_time: Some(time_to_proto(*create_time)),
        update_time: Some(time_to_proto(*update_time)),
        creator: creator.clone(),
        ..spec_to_proto(spec)
    }
}

/// A pipeline with only what clients may change, whose size is what is limited.
pub fn spec_to_proto(spec: &PipelineSpec) -> v1::Pipeline {
    let PipelineSpec {
        name,
        git_repository,
        default_ref,
        stages,
        parallel,
        variables,
        secret_variables,
        concurrency_policy,
        annotations,
    } = spec;
    v1::Pipeline {
        name: name.clone(),
        git_repository: git_repository.clone(),
        default_ref: default_ref.clone(),
        stages: stages.iter().map(stage_to_proto).collect(),
        parallel: *parallel,
        variables: variables.clone(),
        concurrency_policy: policy_to_proto(*concurrency_policy).into(),
        annotations: annotations.clone(),
        secret_variable_names: secret_variables.names().cloned().collect(),
        ..v1::Pipeline::default()
    }
}

fn stage_to_proto(stage: &Stage) -> v1::Stage {
    let Stage {
        name,
        stage_type,
        command,
        timeout,
        needs,
        run_condition,
        variables,
        runner_labels,
        working_directory,
    } = stage;
    v1::Stage {
        name: name.clone(),
        r#type: type_to_proto(*stage_type).into(),
        action: Some(v1::stage::Action::Command(command.clone())),
        timeout: Some(duration_to_proto(*timeout)),
        needs: needs.clone(),
        run_condition: condition_to_proto(*run_condition).into(),
        variables: variables.clone(),
        runner_labels: runner_labels.clone(),
        working_directory: working_directory.clone(),
    }
}

fn policy_to_proto(policy: ConcurrencyPolicy) -> v1::ConcurrencyPolicy {
    match policy {
        ConcurrencyPolicy::Allow => v1::ConcurrencyPolicy::Allow,
        ConcurrencyPolicy::Queue => v1::ConcurrencyPolicy::Queue,
        ConcurrencyPolicy::CancelRunning => v1::ConcurrencyPolicy::CancelRunning,
    }
}

pub(super) fn type_to_proto(stage_type: StageType) -> v1::stage::Type {
    match stage_type {
        StageType::Run => v1::stage::Type::Run,
        StageType::Build => v1::stage::Type::Build,
        StageType::Deploy => v1::stage::Type::Deploy,
    }
}

fn condition_to_proto(condition: RunCondition) -> v1::RunCondition {
    match condition {
        RunCondition::OnSuccess => v1::RunCondition::OnSuccess,
        RunCondition::OnFailure => v1::RunCondition::OnFailure,
        RunCondition::Always => v1::RunCondition::Always,
    }
}
