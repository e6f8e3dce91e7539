//! `pipewright job retry`.

use clap::Args;

use crate::{
    cli::{
        commands::follow::{self, WatchArgs},
        connect::client::{Client, request_id},
        exit::{Exit, Failure},
        present::{format::Format, resource},
    },
    proto::v1::{self, retry_job_request::Scope},
};

/// Start a new job with the revision, commit and variables of an ended job
#[derive(Args, Debug)]
pub(crate) struct RetryArgs {
    /// Id of the job
    job: String,
    /// Run only the stages that did not succeed, and those that depend on them
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    watch: WatchArgs,
}

impl RetryArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let scope = if self.failed {
            Scope::FailedStages
        } else {
            Scope::AllStages
        };
        let request = v1::RetryJobRequest {
            job_id: self.job,
            scope: scope.into(),
            request_id: request_id(),
        };
        let send =
            |mut client: Client, request| async move { client.jobs.retry_job(request).await };
        let response = client.call(request, send).await?;
        let job = response.job.unwrap_or_default();
        match self.watch.style(format) {
            Some(style) => follow::from_start(client, &job.id, style).await,
            None => resource::print_done(&job, format, "the job was started"),
        }
    }
}
