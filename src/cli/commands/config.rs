//! `pipewright config`.

use clap::{Args, Subcommand};

use crate::{
    cli::{
        commands::{serve, settings::SettingsArgs},
        exit::{Exit, Failure},
        present::out,
    },
    server,
};

/// Look at the settings that `pipewright serve` would have
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say `ok`, or list all mistakes, each with where it was made; reads the credentials and certificates that they name
    Check(SettingsArgs),
    /// Print the effective settings as a file, each with where it comes from
    Show(SettingsArgs),
}

/// Checks or shows.
pub(crate) fn config(args: &ConfigArgs) -> Result<Exit, Failure> {
    match &args.command {
        ConfigCommand::Check(args) => {
            let (_, config) = args.load()?.into_config();
            server::check(&config).map_err(serve::failure)?;
            out::print_line("ok")?;
        }
        ConfigCommand::Show(args) => out::print(args.load()?.to_toml().as_bytes())?,
    }
    Ok(Exit::Ok)
}
