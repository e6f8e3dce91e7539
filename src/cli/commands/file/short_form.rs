//! The short form of a pipeline, as users write it in a file.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::{cli::present::labels, proto::v1};

/// A pipeline with the names and values of the short form, and its id. Unset fields and
/// output-only fields, such as times, are left out.
#[derive(Serialize)]
pub(crate) struct ShortForm<'a> {
    id: &'a str,
    project: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    git_repository: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    default_ref: &'a str,
    parallel: bool,
    stages: Vec<ShortStage<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    secret_variable_names: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency_policy: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct ShortStage<'a> {
    name: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Seconds>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    needs: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    run_condition: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    runner_labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    working_directory: &'a str,
}

impl<'a> From<&'a v1::Pipeline> for ShortForm<'a> {
    fn from(pipeline: &'a v1::Pipeline) -> Self {
        use v1::ConcurrencyPolicy::{Allow, Unspecified};
        let policy = pipeline.concurrency_policy();
        let name = || labels::snake_case(policy.as_str_name(), "CONCURRENCY_POLICY_");
        Self {
            id: &pipeline.id,
            project: &pipeline.project,
            name: &pipeline.name,
            git_repository: &pipeline.git_repository,
            default_ref: &pipeline.default_ref,
            parallel: pipeline.parallel,
            stages: pipeline.stages.iter().map(ShortStage::from).collect(),
            variables: &pipeline.variables,
            secret_variable_names: &pipeline.secret_variable_names,
            concurrency_policy: (!matches!(policy, Allow | Unspecified)).then(name),
            annotations: &pipeline.annotations,
        }
    }
}

impl<'a> From<&'a v1::Stage> for ShortStage<'a> {
    fn from(stage: &'a v1::Stage) -> Self {
        use v1::{
            RunCondition::{OnSuccess, Unspecified},
            stage::{Action, Type},
        };
        let condition = stage.run_condition();
        let name = || labels::snake_case(condition.as_str_name(), "RUN_CONDITION_");
        Self {
            name: &stage.name,
            r#type: match stage.r#type() {
                Type::Unspecified | Type::Run => "Run",
                Type::Build => "Build",
                Type::Deploy => "Deploy",
            },
            command: stage
                .action
                .as_ref()
                .map(|Action::Command(command)| &**command),
            timeout: stage.timeout.map(Seconds),
            needs: &stage.needs,
            run_condition: (!matches!(condition, OnSuccess | Unspecified)).then(name),
            variables: &stage.variables,
            runner_labels: &stage.runner_labels,
            working_directory: &stage.working_directory,
        }
    }
}

/// A duration in seconds, as an integer if it is whole.
struct Seconds(prost_types::Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        let prost_types::Duration { seconds, nanos } = self.0;
        match nanos {
            0 => output.serialize_i64(seconds),
            nanos => output.serialize_f64(seconds as f64 + f64::from(nanos) / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{commands::file, present::json};

    fn short(pipeline: &v1::Pipeline) -> String {
        json::compact_value(&ShortForm::from(pipeline))
    }

    /// A pipeline with each field set.
    const FULL: &str = r#"{"id":"","project":"shop","name":"ci","git_repository":"https://example.com/r.git","default_ref":"main","parallel":true,"stages":[{"name":"test","type":"Run","command":"pytest\n","timeout":500},{"name":"image","type":"Build","command":"make","timeout":1.5,"needs":["test"],"run_condition":"on_failure","variables":{"A":"1"},"runner_labels":{"os":"linux"},"working_directory":"web"},{"name":"ship","type":"Deploy","command":"make ship","run_condition":"always"}],"variables":{"B":"2"},"concurrency_policy":"cancel_running","annotations":{"team":"a"}}"#;

    #[test]
    fn what_is_printed_can_be_given_back() {
        let pipeline = v1::Pipeline::from(file::parse(FULL, "-").unwrap());
        assert_eq!(short(&pipeline), FULL);
    }

    #[test]
    fn what_is_unset_is_left_out() {
        let pipeline = v1::Pipeline {
            id: "i".into(),
            project: "default".into(),
            name: "ci".into(),
            secret_variable_names: vec!["KEY".into()],
            ..Default::default()
        };
        let expected = r#"{"id":"i","project":"default","name":"ci","parallel":false,"stages":[],"secret_variable_names":["KEY"]}"#;
        assert_eq!(short(&pipeline), expected);
        file::parse(expected, "-").unwrap();
    }
}
