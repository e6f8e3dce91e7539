//! `pipewright pipeline delete`.

use clap::Args;

use super::name::Named;
use crate::{
    cli::{
        connect::client::{Client, request_id},
        exit::{Exit, Failure},
        present::{format::Format, json, out},
    },
    proto::v1,
};

/// Delete a pipeline; its jobs stay readable until they expire
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pipeline: Named,
    /// Cancel its active jobs too
    #[arg(long)]
    force: bool,
    /// Delete the pipeline only if this is still its etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

impl DeleteArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let request = v1::DeletePipelineRequest {
            pipeline_id: self.pipeline.id(client).await?,
            etag: self.etag,
            force: self.force,
            request_id: request_id(),
        };
        let send = |mut client: Client, request| async move {
            client.pipelines.delete_pipeline(request).await
        };
        let response = client.call(request, send).await?;
        match format {
            Format::Table => out::notice("the pipeline is deleted"),
            Format::Json => out::print_line(&json::pretty("DeletePipelineResponse", &response))?,
        }
        Ok(Exit::Ok)
    }
}
