//! `pipewright pipeline update`.

use clap::Args;
use prost_types::FieldMask;

use super::name::Named;
use crate::{
    cli::{
        commands::{file::PipelineFile, input::Input, secret_vars::warn_of_short},
        connect::client::{Client, request_id},
        exit::{Exit, Failure},
        present::{format::Format, resource, text},
    },
    proto::v1,
};

/// Change a pipeline
#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    pipeline: Named,
    #[command(flatten)]
    input: Input,
    /// Fields to change, or `*` for all [default: the fields in the input]
    #[arg(long, value_delimiter = ',', value_name = "FIELD,...")]
    mask: Vec<String>,
    /// Change the pipeline only if it still has this etag; overrides the etag in the input
    #[arg(long)]
    etag: Option<String>,
    /// Validate the request without changing anything
    #[arg(long)]
    validate_only: bool,
}

impl UpdateArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let file = self.input.read()?;
        let paths = if self.mask.is_empty() {
            file.mask()
        } else {
            self.mask
        };
        let id = self.pipeline.id(client).await?;
        let mut pipeline = of_file(file, id)?;
        warn_of_short(&pipeline.secret_variables);
        pipeline.etag = self.etag.unwrap_or(pipeline.etag);
        let done = if self.validate_only {
            "the change is valid"
        } else {
            "the pipeline was updated"
        };
        let updated = update(client, pipeline, paths, self.validate_only).await?;
        resource::print_done(&updated, format, done)
    }
}

/// The pipeline in the file, with this id; a file with another id is refused.
pub(crate) fn of_file(file: PipelineFile, id: String) -> Result<v1::Pipeline, Failure> {
    if let Some(other) = file.id().filter(|other| *other != id) {
        let other = text::one_line(other);
        return Err(Failure::Invalid(format!(
            "the input is of pipeline {other}, not of {id}; remove its id to use it all the same"
        )));
    }
    let mut pipeline = v1::Pipeline::from(file);
    pipeline.id = id;
    Ok(pipeline)
}

/// Changes the fields of the pipeline that the paths name.
pub(crate) async fn update(
    client: &Client,
    pipeline: v1::Pipeline,
    paths: Vec<String>,
    validate_only: bool,
) -> Result<v1::Pipeline, Failure> {
    let request = v1::UpdatePipelineRequest {
        pipeline: Some(pipeline),
        update_mask: Some(FieldMask { paths }),
        validate_only,
        request_id: request_id(),
    };
    let send = |mut client: Client, request| async move {
        client.pipelines.update_pipeline(request).await
    };
    let response = client.call(request, send).await?;
    Ok(response.pipeline.unwrap_or_default())
}
