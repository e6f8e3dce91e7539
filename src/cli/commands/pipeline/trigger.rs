//! `pipewright pipeline trigger`.

use clap::{Args, value_parser};

use super::name::Named;
use crate::{
    cli::{
        commands::{
            follow::{self, WatchArgs},
            secret_vars::{SecretVars, warn_of_short},
        },
        connect::{
            client::{Client, request_id},
            remote::key_value,
        },
        exit::{Exit, Failure},
        present::{format::Format, resource},
    },
    proto::v1,
};

/// Start a job of a pipeline
#[derive(Args, Debug)]
pub(crate) struct TriggerArgs {
    #[command(flatten)]
    pipeline: Named,
    /// Branch, tag or commit to check out [default: that of the pipeline]
    #[arg(
        long = "ref",
        value_name = "REF",
        default_value = "",
        hide_default_value = true
    )]
    git_ref: String,
    /// Variable of all stages; may be repeated
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = key_value)]
    vars: Vec<(String, String)>,
    #[command(flatten)]
    secret_vars: SecretVars,
    /// Priority, -100 to 100; jobs with a higher priority run earlier
    #[arg(
        long,
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = value_parser!(i32).range(-100..=100)
    )]
    priority: i32,
    /// Revision to run [default: the newest]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    revision: i64,
    /// UUID that makes it safe to repeat the same command [default: a new one]
    #[arg(long)]
    request_id: Option<String>,
    /// Validate the request without starting a job
    #[arg(long, conflicts_with = "watch")]
    validate_only: bool,
    #[command(flatten)]
    watch: WatchArgs,
}

impl TriggerArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let secret_variables = self.secret_vars.read()?;
        let request = v1::TriggerPipelineRequest {
            pipeline_id: self.pipeline.id(client).await?,
            revision: self.revision,
            git_ref: self.git_ref,
            variables: self.vars.into_iter().collect(),
            priority: self.priority,
            request_id: self.request_id.unwrap_or_else(request_id),
            validate_only: self.validate_only,
            secret_variables,
        };
        let done = if self.validate_only {
            "the trigger is valid"
        } else {
            "the job was started"
        };
        let job = trigger(client, request).await?;
        match self.watch.style(format) {
            Some(style) => follow::from_start(client, &job.id, style).await,
            None => resource::print_done(&job, format, done),
        }
    }
}

/// Starts a job.
pub(crate) async fn trigger(
    client: &Client,
    request: v1::TriggerPipelineRequest,
) -> Result<v1::Job, Failure> {
    warn_of_short(&request.secret_variables);
    let send = |mut client: Client, request| async move {
        client.pipelines.trigger_pipeline(request).await
    };
    let response = client.call(request, send).await?;
    Ok(response.job.unwrap_or_default())
}
