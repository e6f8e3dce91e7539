//! Commands for scripts: one word each, with JSON in and JSON out.
//!
//! Each prints `{"id", "message"}`, where the id is that of the pipeline; a trigger adds
//! `job_id`. The exception is `get-pipeline`, which prints the pipeline itself.

use std::collections::BTreeMap;

use clap::{Args, builder::NonEmptyStringValueParser};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    file::{self, ShortForm},
    pipeline::{self, create, delete, name, trigger, update},
    service_command::ServiceCommand,
};
use crate::{
    cli::{
        connect::client::{Client, request_id},
        exit::{Exit, Failure},
        present::{format::Format, json, out},
    },
    proto::v1,
};

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// The pipeline, as JSON or YAML
    #[arg(long, value_name = "JSON")]
    data: String,
    /// Project of the pipeline, if the data names none
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    project: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pipeline: PipelineId,
}

#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    pipeline: PipelineId,
    /// The fields to change, as JSON or YAML; other fields keep their values
    #[arg(long, value_name = "JSON")]
    data: String,
}

#[derive(Args, Debug)]
pub(crate) struct TriggerArgs {
    #[command(flatten)]
    pipeline: PipelineId,
    /// Options of the job, as JSON or YAML: git_ref, variables, secret_variables, priority,
    /// revision and request_id
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pipeline: PipelineId,
}

/// The pipeline that a command refers to.
#[derive(Args, Debug)]
struct PipelineId {
    /// Id of the pipeline, or its name
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pipeline_id: String,
    /// Project of the pipeline, for a name that exists in several projects
    #[arg(long)]
    project: Option<String>,
}

impl PipelineId {
    async fn resolve(self, client: &Client) -> Result<String, Failure> {
        name::resolve(client, self.pipeline_id, self.project.unwrap_or_default()).await
    }
}

/// The printed result of a change.
#[derive(Serialize)]
struct Changed<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<&'a str>,
    message: &'a str,
}

impl Changed<'_> {
    fn print(&self) -> Result<Exit, Failure> {
        out::print_done(self.message, &json::compact_value(self))?;
        Ok(Exit::Ok)
    }
}

/// Options of a job in `--data`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TriggerData {
    #[serde(default, alias = "gitRef", alias = "ref")]
    git_ref: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default, alias = "secretVariables")]
    secret_variables: BTreeMap<String, SecretString>,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    revision: i64,
    #[serde(alias = "requestId")]
    request_id: Option<String>,
}

impl ServiceCommand for CreateArgs {
    async fn run(self, client: &Client, _: Format) -> Result<Exit, Failure> {
        let mut pipeline = v1::Pipeline::from(file::parse(&self.data, "--data")?);
        if let Some(project) = self.project {
            if !pipeline.project.is_empty() && pipeline.project != project {
                return Err(Failure::Usage(
                    "--project and the project in --data differ".to_owned(),
                ));
            }
            pipeline.project = project;
        }
        let created = create::create(client, pipeline, false).await?;
        let changed = Changed {
            id: &created.id,
            job_id: None,
            message: "the pipeline was created",
        };
        changed.print()
    }
}

impl ServiceCommand for GetArgs {
    async fn run(self, client: &Client, _: Format) -> Result<Exit, Failure> {
        let id = self.pipeline.resolve(client).await?;
        let pipeline = pipeline::get(client, id, 0).await?;
        out::print_line(&json::compact_value(&ShortForm::from(&pipeline)))?;
        Ok(Exit::Ok)
    }
}

impl ServiceCommand for UpdateArgs {
    async fn run(self, client: &Client, _: Format) -> Result<Exit, Failure> {
        let file = file::parse(&self.data, "--data")?;
        let paths = file.mask();
        let id = self.pipeline.resolve(client).await?;
        let updated = update::update(client, update::of_file(file, id)?, paths, false).await?;
        let changed = Changed {
            id: &updated.id,
            job_id: None,
            message: "the pipeline was updated",
        };
        changed.print()
    }
}

impl ServiceCommand for TriggerArgs {
    async fn run(self, client: &Client, _: Format) -> Result<Exit, Failure> {
        let data: TriggerData = match &self.data {
            Some(data) => file::read(data, "--data")?,
            None => TriggerData::default(),
        };
        let exposed = |(name, value): (String, SecretString)| (name, value.expose_secret().into());
        let id = self.pipeline.resolve(client).await?;
        let request = v1::TriggerPipelineRequest {
            pipeline_id: id.clone(),
            revision: data.revision,
            git_ref: data.git_ref,
            variables: data.variables,
            secret_variables: data.secret_variables.into_iter().map(exposed).collect(),
            priority: data.priority,
            request_id: data.request_id.unwrap_or_else(request_id),
            validate_only: false,
        };
        let job = trigger::trigger(client, request).await?;
        let changed = Changed {
            id: &id,
            job_id: Some(&job.id),
            message: "the job was started",
        };
        changed.print()
    }
}

impl ServiceCommand for DeleteArgs {
    async fn run(self, client: &Client, _: Format) -> Result<Exit, Failure> {
        let id = self.pipeline.resolve(client).await?;
        delete::delete(client, id.clone(), String::new(), false).await?;
        let changed = Changed {
            id: &id,
            job_id: None,
            message: "the pipeline was deleted",
        };
        changed.print()
    }
}
