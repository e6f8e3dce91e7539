//! `pipewright job get`.

use clap::Args;

use crate::cli::{
    connect::{client::Client, remote::Format, watch},
    exit::{Exit, Failure},
};

/// Show a job with its stages
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Id of the job
    job: String,
}

impl GetArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let job = watch::get(client, &self.job).await?;
        super::print(&job, format)
    }
}
