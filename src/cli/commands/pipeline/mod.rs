//! `pipewright pipeline ...`.

pub(crate) mod create;
mod delete;
mod get;
mod list;
pub(crate) mod name;
pub(crate) mod trigger;
mod update;

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

/// Keep pipelines and start jobs of them
#[derive(Args, Debug)]
pub(crate) struct PipelineArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: PipelineCommand,
}

impl PipelineArgs {
    /// The form of the answer.
    pub(crate) fn format(&self) -> Format {
        self.output.format
    }
}

#[derive(Debug, Subcommand)]
enum PipelineCommand {
    Create(create::CreateArgs),
    Get(get::GetArgs),
    List(list::ListArgs),
    Update(update::UpdateArgs),
    Delete(delete::DeleteArgs),
    Trigger(trigger::TriggerArgs),
}

/// Does one of the pipeline commands.
pub(crate) async fn pipeline(args: PipelineArgs) -> Result<Exit, Failure> {
    let client: &Client = &args.remote.client()?;
    let format = args.output.format;
    match args.command {
        PipelineCommand::Create(args) => args.run(client, format).await,
        PipelineCommand::Get(args) => args.run(client, format).await,
        PipelineCommand::List(args) => args.run(client, format).await,
        PipelineCommand::Update(args) => args.run(client, format).await,
        PipelineCommand::Delete(args) => args.run(client, format).await,
        PipelineCommand::Trigger(args) => args.run(client, format).await,
    }
}

fn print(pipeline: &v1::Pipeline, format: Format) -> Result<Exit, Failure> {
    let text = match format {
        Format::Table => table::pipeline(pipeline),
        Format::Json => json::pretty("Pipeline", pipeline),
    };
    out::print_line(&text)?;
    Ok(Exit::Ok)
}
