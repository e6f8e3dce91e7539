//! `pipewright runner ...`.

mod drain;
mod get;
mod list;
mod name;
mod start;

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

/// Run stages for a service on another machine, or look after its runners
///
/// Without a subcommand this is a runner: it takes stages from the service and runs
/// them here, until SIGINT or SIGTERM. It outlives its service, and waits for one that
/// is not there yet.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RunnerArgs {
    #[command(flatten)]
    start: start::StartArgs,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Option<RunnerCommand>,
}

impl RunnerArgs {
    /// The form of the answer.
    pub(crate) fn format(&self) -> Format {
        self.output.format
    }
}

#[derive(Debug, Subcommand)]
enum RunnerCommand {
    List(list::ListArgs),
    Get(get::GetArgs),
    Drain(drain::DrainArgs),
    Resume(drain::ResumeArgs),
}

/// Runs stages, or does one of the runner commands.
pub(crate) async fn runner(args: RunnerArgs) -> Result<Exit, Failure> {
    let Some(command) = args.command else {
        return args.start.run(args.remote.connection()?).await;
    };
    let client: &Client = &args.remote.client()?;
    let format = args.output.format;
    match command {
        RunnerCommand::List(args) => args.run(client, format).await,
        RunnerCommand::Get(args) => args.run(client, format).await,
        RunnerCommand::Drain(args) => args.run(client, format).await,
        RunnerCommand::Resume(args) => args.run(client, format).await,
    }
}

fn print(runner: Option<v1::Runner>, format: Format) -> Result<Exit, Failure> {
    let runner = runner.unwrap_or_default();
    let text = match format {
        Format::Table => table::runner(&runner),
        Format::Json => json::pretty("Runner", &runner),
    };
    out::print_line(&text)?;
    Ok(Exit::Ok)
}
