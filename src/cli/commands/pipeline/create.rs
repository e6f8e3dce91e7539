//! `pipewright pipeline create`.

use clap::Args;

use crate::{
    cli::{
        commands::{input::Input, secret_vars::warn_of_short},
        connect::client::{Client, request_id},
        exit::{Exit, Failure},
        present::{format::Format, resource},
    },
    proto::v1,
};

/// Create a pipeline
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    input: Input,
    /// Validate the request without changing anything
    #[arg(long)]
    validate_only: bool,
}

impl CreateArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let pipeline = self.input.read()?.into();
        let created = create(client, pipeline, self.validate_only).await?;
        let done = if self.validate_only {
            "the pipeline is valid"
        } else {
            "the pipeline was created"
        };
        resource::print_done(&created, format, done)
    }
}

/// Creates the pipeline, and returns it as stored.
pub(crate) async fn create(
    client: &Client,
    pipeline: v1::Pipeline,
    validate_only: bool,
) -> Result<v1::Pipeline, Failure> {
    warn_of_short(&pipeline.secret_variables);
    let request = v1::CreatePipelineRequest {
        pipeline: Some(pipeline),
        request_id: request_id(),
        validate_only,
    };
    let send = |mut client: Client, request| async move {
        client.pipelines.create_pipeline(request).await
    };
    let response = client.call(request, send).await?;
    Ok(response.pipeline.unwrap_or_default())
}
