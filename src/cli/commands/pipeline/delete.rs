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

/// Delete a pipeline; its jobs can be read until they expire
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pipeline: Named,
    /// Also cancel its active jobs
    #[arg(long)]
    force: bool,
    /// Delete the pipeline only if it still has this etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

impl DeleteArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let id = self.pipeline.id(client).await?;
        let response = delete(client, id, self.etag, self.force).await?;
        const DONE: &str = "the pipeline was deleted";
        match format {
            Format::Table => out::notice(DONE),
            Format::Json => {
                let text = json::pretty("DeletePipelineResponse", &response);
                out::print_done(DONE, &text)?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// Deletes the pipeline.
pub(crate) async fn delete(
    client: &Client,
    pipeline_id: String,
    etag: String,
    force: bool,
) -> Result<v1::DeletePipelineResponse, Failure> {
    let request = v1::DeletePipelineRequest {
        pipeline_id,
        etag,
        force,
        request_id: request_id(),
    };
    let send = |mut client: Client, request| async move {
        client.pipelines.delete_pipeline(request).await
    };
    client.call(request, send).await
}
