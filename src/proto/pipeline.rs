//! `pipeline.proto`.

use prost::Message;

use crate::domain::{
    ConcurrencyPolicy, Pipeline, PipelineSpec, RunCondition, Stage, StageAction, StageType,
    Variables, Violation, limits,
};

use super::{
    time::{duration_from_proto, duration_to_proto, time_to_proto},
    v1,
};

/// A pipeline in a client's create or update.
#[derive(Clone, Debug)]
pub struct PipelineDraft {
    /// The pipeline to update; empty in a create.
    pub id: String,
    /// The project; empty for the default one.
    pub project: String,
    /// The etag that the client has read; empty to update any version.
    pub etag: String,
    /// The mutable fields. The secret variables are changes, not the result.
    pub spec: PipelineSpec,
}

/// Decodes a client's pipeline. Output-only fields are ignored.
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
        concurrency_policy: known(
            concurrency_policy,
            || "concurrency_policy".to_owned(),
            &mut violations,
        )
        .map_or_else(Default::default, policy_from_proto),
        annotations,
    };
    if !violations.is_empty() {
        return Err(violations);
    }
    Ok(PipelineDraft {
        id,
        project,
        etag,
        spec,
    })
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
        stage_type: known(r#type, || path("type"), violations)
            .map_or_else(Default::default, type_from_proto),
        action: match action {
            Some(v1::stage::Action::Command(script)) => StageAction::Command(script),
            // Validated with the rest of the stage, and refused as an empty script.
            None => StageAction::Command(String::new()),
        },
        timeout,
        needs,
        run_condition: known(run_condition, || path("run_condition"), violations)
            .map_or_else(Default::default, condition_from_proto),
        variables,
        runner_labels,
        working_directory,
    }
}

/// The value of an enum field, or a violation if this version does not know it.
fn known<E: TryFrom<i32>>(
    number: i32,
    field: impl FnOnce() -> String,
    violations: &mut Vec<Violation>,
) -> Option<E> {
    let value = E::try_from(number).ok();
    if value.is_none() {
        let description = format!("has the value {number}, which this version does not know");
        refuse(violations, &field(), description);
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

/// Converts a pipeline.
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

/// Whether the mutable fields of a pipeline encode to at most `most` bytes.
pub fn spec_fits(spec: &PipelineSpec, most: usize) -> bool {
    // The upper bound is checked first: the exact length takes as long as an encoding.
    len_at_most(spec) <= most || spec_to_proto(spec).encoded_len() <= most
}

/// An upper bound of a spec's encoded length, from the lengths of its texts.
fn len_at_most(spec: &PipelineSpec) -> usize {
    /// Overhead of a text: at most two bytes of tag and five of length.
    const TEXT: usize = 7;
    /// Overhead of a map entry.
    const ENTRY: usize = 3 * TEXT;
    /// A stage without its texts.
    const STAGE: usize = 64;
    /// A pipeline without its texts and stages.
    const PIPELINE: usize = 32;
    let text = |text: &String| TEXT + text.len();
    let texts = |texts: &[&String]| texts.iter().map(|one| text(one)).sum::<usize>();
    let entry = |(key, value): (&String, &String)| ENTRY + key.len() + value.len();
    let map = |map: &Variables| map.iter().map(entry).sum::<usize>();
    let stage = |stage: &Stage| {
        let Stage {
            name,
            stage_type: _,
            action: StageAction::Command(command),
            timeout: _,
            needs,
            run_condition: _,
            variables,
            runner_labels,
            working_directory,
        } = stage;
        STAGE
            + texts(&[name, command, working_directory])
            + needs.iter().map(text).sum::<usize>()
            + map(variables)
            + map(runner_labels)
    };
    let PipelineSpec {
        name,
        git_repository,
        default_ref,
        stages,
        parallel: _,
        variables,
        secret_variables,
        concurrency_policy: _,
        annotations,
    } = spec;
    PIPELINE
        + texts(&[name, git_repository, default_ref])
        + stages.iter().map(stage).sum::<usize>()
        + map(variables)
        + map(annotations)
        + secret_variables.names().map(text).sum::<usize>()
}

/// A pipeline with only its mutable fields.
fn spec_to_proto(spec: &PipelineSpec) -> v1::Pipeline {
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
        action,
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
        action: Some(match action {
            StageAction::Command(script) => v1::stage::Action::Command(script.clone()),
        }),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{collection, prelude::*};

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        // Texts whose length prefix has one, two or three bytes.
        prop_oneof![
            Just(String::new()),
            "[a-z]{1,5}",
            Just("x".repeat(300)),
            Just("y".repeat(20_000))
        ]
    }

    fn variables() -> impl Strategy<Value = Variables> {
        collection::btree_map(text(), text(), 0..4)
    }

    fn stage() -> impl Strategy<Value = Stage> {
        let texts = (text(), text(), text(), collection::vec(text(), 0..4));
        (texts, variables(), variables()).prop_map(
            |((name, command, working_directory, needs), variables, runner_labels)| Stage {
                name,
                stage_type: StageType::Deploy,
                action: StageAction::Command(command),
                timeout: Duration::new(u64::MAX >> 1, 999_999_999),
                needs,
                run_condition: RunCondition::Always,
                variables,
                runner_labels,
                working_directory,
            },
        )
    }

    fn spec() -> impl Strategy<Value = PipelineSpec> {
        let texts = (text(), text(), text());
        let stages = collection::vec(stage(), 0..4);
        let secrets = collection::btree_map(text(), text(), 0..4);
        (texts, stages, variables(), variables(), secrets).prop_map(
            |((name, git_repository, default_ref), stages, variables, annotations, secrets)| {
                PipelineSpec {
                    name,
                    git_repository,
                    default_ref,
                    stages: stages.into(),
                    parallel: true,
                    variables,
                    secret_variables: secrets.into_iter().collect(),
                    concurrency_policy: ConcurrencyPolicy::CancelRunning,
                    annotations,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_spec_fits_into_its_length_and_no_less(spec in spec()) {
            let length = spec_to_proto(&spec).encoded_len();
            prop_assert!(length <= len_at_most(&spec));
            prop_assert!(spec_fits(&spec, length));
            prop_assert!(length == 0 || !spec_fits(&spec, length - 1));
        }
    }
}
