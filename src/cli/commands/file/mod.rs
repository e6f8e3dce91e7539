//! Pipeline files, in YAML or JSON, with the names of the contract or in a
//! short form.
//!
//! Only the syntax is checked here; the service validates the pipeline.

mod error;
mod short_form;
mod values;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{cli::exit::Failure, proto::v1};

pub(crate) use short_form::ShortForm;

/// Parses a pipeline; `source` names the input in errors.
pub(crate) fn parse(text: &str, source: &str) -> Result<PipelineFile, Failure> {
    read(text, source)
}

/// Parses YAML or JSON.
pub(crate) fn read<T: DeserializeOwned>(text: &str, source: &str) -> Result<T, Failure> {
    let read: Result<Option<T>, _> = serde_saphyr::from_str(text);
    let file = read.map_err(|error| Failure::Invalid(error::render(&error, text, source)))?;
    file.ok_or_else(|| {
        Failure::Invalid(if text.trim().is_empty() {
            format!("{source} is empty")
        } else {
            format!("{source} is empty: it has only comments or null")
        })
    })
}

/// The fields of a pipeline in a file; [`None`] if a field is missing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipelineFile {
    project: Option<String>,
    name: Option<String>,
    #[serde(alias = "gitRepository")]
    git_repository: Option<String>,
    #[serde(alias = "defaultRef")]
    default_ref: Option<String>,
    stages: Option<Vec<StageFile>>,
    parallel: Option<bool>,
    variables: Option<BTreeMap<String, String>>,
    #[serde(alias = "secretVariables")]
    secret_variables: Option<BTreeMap<String, SecretString>>,
    #[serde(
        default,
        alias = "concurrencyPolicy",
        alias = "concurrency",
        deserialize_with = "values::concurrency_policy"
    )]
    concurrency_policy: Option<v1::ConcurrencyPolicy>,
    annotations: Option<BTreeMap<String, String>>,
    etag: Option<String>,
    // Output-only fields: accepted, so that the output of `get` can be edited and sent
    // back, but not sent.
    id: Option<String>,
    #[serde(rename = "revision")]
    _revision: Option<IgnoredAny>,
    #[serde(rename = "createTime", alias = "create_time")]
    create_time: Option<IgnoredAny>,
    #[serde(rename = "updateTime", alias = "update_time")]
    _update_time: Option<IgnoredAny>,
    #[serde(rename = "creator")]
    _creator: Option<IgnoredAny>,
    #[serde(rename = "secretVariableNames", alias = "secret_variable_names")]
    _secret_variable_names: Option<IgnoredAny>,
}

impl PipelineFile {
    /// Id of the pipeline, if the file has it.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !id.is_empty())
    }

    /// The fields that an update by this file changes: those in the file. Output of the
    /// service is the whole pipeline, so a field that is missing there was removed.
    pub(crate) fn mask(&self) -> Vec<String> {
        if self.create_time.is_some() {
            return vec!["*".to_owned()];
        }
        let given = [
            ("name", self.name.is_some()),
            ("git_repository", self.git_repository.is_some()),
            ("default_ref", self.default_ref.is_some()),
            ("stages", self.stages.is_some()),
            ("parallel", self.parallel.is_some()),
            ("variables", self.variables.is_some()),
            ("secret_variables", self.secret_variables.is_some()),
            ("concurrency_policy", self.concurrency_policy.is_some()),
            ("annotations", self.annotations.is_some()),
        ];
        let fields = given.into_iter().filter(|(_, is_given)| *is_given);
        fields.map(|(field, _)| field.to_owned()).collect()
    }
}

impl From<PipelineFile> for v1::Pipeline {
    fn from(file: PipelineFile) -> Self {
        let stages = file.stages.unwrap_or_default();
        let secrets = file.secret_variables.unwrap_or_default().into_iter();
        let exposed = |(name, value): (String, SecretString)| (name, value.expose_secret().into());
        Self {
            project: file.project.unwrap_or_default(),
            name: file.name.unwrap_or_default(),
            git_repository: file.git_repository.unwrap_or_default(),
            default_ref: file.default_ref.unwrap_or_default(),
            stages: stages.into_iter().map(v1::Stage::from).collect(),
            parallel: file.parallel.unwrap_or_default(),
            variables: file.variables.unwrap_or_default(),
            secret_variables: secrets.map(exposed).collect(),
            concurrency_policy: file.concurrency_policy.unwrap_or_default().into(),
            annotations: file.annotations.unwrap_or_default(),
            etag: file.etag.unwrap_or_default(),
            id: String::new(),
            revision: 0,
            create_time: None,
            update_time: None,
            creator: String::new(),
            secret_variable_names: Vec::new(),
        }
    }
}

/// The fields of a stage in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageFile {
    name: Option<String>,
    #[serde(default, deserialize_with = "values::stage_type")]
    r#type: Option<v1::stage::Type>,
    command: Option<String>,
    #[serde(default, deserialize_with = "values::timeout")]
    timeout: Option<prost_types::Duration>,
    needs: Option<Vec<String>>,
    #[serde(
        default,
        alias = "runCondition",
        alias = "when",
        deserialize_with = "values::run_condition"
    )]
    run_condition: Option<v1::RunCondition>,
    variables: Option<BTreeMap<String, String>>,
    #[serde(alias = "runnerLabels")]
    runner_labels: Option<BTreeMap<String, String>>,
    #[serde(alias = "workingDirectory")]
    working_directory: Option<String>,
}

impl From<StageFile> for v1::Stage {
    fn from(file: StageFile) -> Self {
        Self {
            name: file.name.unwrap_or_default(),
            r#type: file.r#type.unwrap_or_default().into(),
            action: file.command.map(v1::stage::Action::Command),
            timeout: file.timeout,
            needs: file.needs.unwrap_or_default(),
            run_condition: file.run_condition.unwrap_or_default().into(),
            variables: file.variables.unwrap_or_default(),
            runner_labels: file.runner_labels.unwrap_or_default(),
            working_directory: file.working_directory.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
