//! Common parts of commands that call a service.

use clap::{Args, Subcommand};

use crate::cli::{
    connect::{client::Client, remote::Remote},
    exit::{Exit, Failure},
    present::format::Format,
};

/// A command that calls a service.
pub(crate) trait ServiceCommand {
    /// Runs the command and prints its result.
    async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure>;
}

/// A group of commands with the options to connect to a service.
#[derive(Args, Debug)]
pub(crate) struct Group<C: Subcommand> {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: C,
}

impl<C: Subcommand + ServiceCommand> Group<C> {
    /// Runs the chosen command.
    pub(crate) async fn run(self, format: Format) -> Result<Exit, Failure> {
        self.command.run(&self.remote.client()?, format).await
    }
}

/// A single command with the options to connect to a service.
#[derive(Args, Debug)]
pub(crate) struct Alone<C: Args> {
    #[command(flatten)]
    command: C,
    #[command(flatten)]
    remote: Remote,
}

impl<C: Args + ServiceCommand> Alone<C> {
    /// Runs the command.
    pub(crate) async fn run(self, format: Format) -> Result<Exit, Failure> {
        self.command.run(&self.remote.client()?, format).await
    }
}
