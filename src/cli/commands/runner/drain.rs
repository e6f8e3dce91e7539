//! `pipewright runner drain` and `pipewright runner resume`.

use clap::Args;

use super::name::Named;
use crate::{
    cli::{
        connect::{client::Client, remote::Format},
        exit::{Exit, Failure},
    },
    proto::v1,
};

/// Give a runner no new jobs; those that it has begun go on to their end
///
/// A job of which the runner has the files goes on there alone: its next stages wait until
/// the runner is resumed.
#[derive(Args, Debug)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    runner: Named,
}

impl DrainArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let request = v1::DrainRunnerRequest {
            runner_id: self.runner.id(client).await?,
        };
        let send =
            |mut client: Client, request| async move { client.runners.drain_runner(request).await };
        let response = client.call(request, send).await?;
        super::print(response.runner, format)
    }
}

/// Give a drained runner stages again
#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    runner: Named,
}

impl ResumeArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let request = v1::ResumeRunnerRequest {
            runner_id: self.runner.id(client).await?,
        };
        let send = |mut client: Client, request| async move {
            client.runners.resume_runner(request).await
        };
        let response = client.call(request, send).await?;
        super::print(response.runner, format)
    }
}
