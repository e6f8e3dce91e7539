//! `pipewright job cancel`.

use clap::Args;

use crate::cli::{
    commands::follow,
    connect::{client::Client, remote::Format},
    exit::{Exit, Failure},
};

/// Ask for a job to stop
#[derive(Args, Debug)]
pub(crate) struct CancelArgs {
    /// Id of the job
    job: String,
    /// Why, for people
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

impl CancelArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let job = follow::cancel(client, &self.job, &self.reason).await?;
        super::print(&job, format)
    }
}
