//! `pipewright job watch`.

use clap::Args;

use crate::cli::{
    commands::follow::{self, OnInterrupt, Style},
    connect::client::Client,
    exit::{Exit, Failure},
    interrupt::Interrupts,
    present::{format::Format, view::JobView},
};

/// Follow a job until it ends; its result is the exit code
///
/// With -o json, each line is an event, or a snapshot that replaces all earlier lines.
#[derive(Args, Debug)]
pub(crate) struct WatchJobArgs {
    /// Id of the job
    job: String,
    /// Start after the event of this number; 0 prints all events [default: start with a
    /// snapshot]
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
        follow::follow(client, &self.job, view, style, Interrupts::listen()?).await
    }
}
