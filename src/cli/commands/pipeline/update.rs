//! `pipewright pipeline update`.

use clap::Args;
use prost_types::FieldMask;

use super::name::Named;
use crate::{
    cli::{
        commands::input::Input,
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
    /// Fields to change, or `*` for all; those that the input gives when unset
    #[arg(long, value_delimiter = ',', value_name = "FIELD,...")]
    mask: Vec<String>,
    /// Change the pipeline only if this is still its etag; wins over the input's
    #[arg(long)]
    etag: Option<String>,
    /// Check everything and change nothing
    #[arg(long)]
    validate_only: bool,
}

impl UpdateArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let file = self.input.read()?;
        let paths = match self.mask.is_empty() {
            true => file.mask(),
            false => self.mask,
        };
        let id = self.pipeline.id(client).await?;
        if let Some(other) = file.id().filter(|other| *other != id) {
            let other = text::one_line(other);
            return Err(Failure::Invalid(format!(
                "the input is of pipeline {other}, not of {id}; remove its id to use it all the same"
            )));
        }
        let mut pipeline = v1::Pipeline::from(file);
        pipeline.id = id;
        pipeline.etag = self.etag.unwrap_or(pipeline.etag);
        let request = v1::UpdatePipelineRequest {
            pipeline: Some(pipeline),
            update_mask: Some(FieldMask { paths }),
            validate_only: self.validate_only,
            request_id: request_id(),
        };
        let send = |mut client: Client, request| async move {
            client.pipelines.update_pipeline(request).await
        };
        let response = client.call(request, send).await?;
        resource::print(&response.pipeline.unwrap_or_default(), format)
    }
}
