//! `pipewright runner get`.

use clap::Args;

use super::name::Named;
use crate::{
    cli::{
        connect::{client::Client, remote::Format},
        exit::{Exit, Failure},
    },
    proto::v1,
};

/// Show a runner and the stages that it runs
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    runner: Named,
}

impl GetArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let request = v1::GetRunnerRequest {
            runner_id: self.runner.id(client).await?,
        };
        let send =
            |mut client: Client, request| async move { client.runners.get_runner(request).await };
        let response = client.call(request, send).await?;
        super::print(response.runner, format)
    }
}
