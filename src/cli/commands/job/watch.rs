//! `pipewright job watch`.

use clap::Args;

use crate::cli::{
    commands::follow::{self, OnInterrupt, Style},
    connect::client::Client,
    exit::{Exit, Failure},
    present::{format::Format, view::JobView},
};

/// Follow a job to its end; its result is the exit code
///
/// With -o json each line is an event, or a snapshot that replaces what is known.
#[derive(Args, Debug)]
pub(crate) struct WatchJobArgs {
    /// Id of the job
    job: String,
    /// Start after this event, 0 for all of them; with a snapshot when unset
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<i64>,
}

impl WatchJobArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let style = Style {
            format,
            logs: false,
            raw: false,
            on_interrupt: OnInterrupt::Leave,
        };
        let view = self.after.map_or_else(JobView::default, JobView::after);
        follow::follow(client, &self.job, view, style).await
    }
}
