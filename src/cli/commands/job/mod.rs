//! `pipewright job ...`.

mod cancel;
mod get;
mod list;
mod log;
mod retry;
mod watch;

use clap::{Args, Subcommand};

use crate::{
    cli::{
        connect::{
            client::Client,
            remote::{Format, Output, Remote},
        },
        exit::{Exit, Failure},
        present::{json, out, table},
    },
    proto::v1,
};

/// Follow and steer jobs
#[derive(Args, Debug)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: JobCommand,
}

impl JobArgs {
    /// The form of the answer.
    pub(crate) fn format(&self) -> Format {
        self.output.format
    }
}

#[derive(Debug, Subcommand)]
enum JobCommand {
    Get(get::GetArgs),
    List(list::ListArgs),
    Watch(watch::WatchJobArgs),
    Log(log::LogArgs),
    Cancel(cancel::CancelArgs),
    Retry(retry::RetryArgs),
}

/// Does one of the job commands.
pub(crate) async fn job(args: JobArgs) -> Result<Exit, Failure> {
    let client: &Client = &args.remote.client()?;
    let format = args.output.format;
    match args.command {
        JobCommand::Get(args) => args.run(client, format).await,
        JobCommand::List(args) => args.run(client, format).await,
        JobCommand::Watch(args) => args.run(client, format).await,
        JobCommand::Log(args) => args.run(client, format).await,
        JobCommand::Cancel(args) => args.run(client, format).await,
        JobCommand::Retry(args) => args.run(client, format).await,
    }
}

/// Prints a job.
pub(crate) fn print(job: &v1::Job, format: Format) -> Result<Exit, Failure> {
    let text = match format {
        Format::Table => table::job(job),
        Format::Json => json::pretty("Job", job),
    };
    out::print_line(&text)?;
    Ok(Exit::Ok)
}
