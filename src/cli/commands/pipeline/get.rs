//! `pipewright pipeline get`.

use clap::Args;

use super::name::Named;
use crate::{
    cli::{
        connect::{client::Client, remote::Format},
        exit::{Exit, Failure},
    },
    proto::v1,
};

/// Show a pipeline
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pipeline: Named,
    /// Revision to show; the newest when unset
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    revision: i64,
}

impl GetArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let request = v1::GetPipelineRequest {
            pipeline_id: self.pipeline.id(client).await?,
            revision: self.revision,
        };
        let send = |mut client: Client, request| async move {
            client.pipelines.get_pipeline(request).await
        };
        let response = client.call(request, send).await?;
        super::print(&response.pipeline.unwrap_or_default(), format)
    }
}
