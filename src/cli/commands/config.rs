//! `pipewright config`.

use clap::{Args, Subcommand};

use crate::{
    cli::{
        commands::{key, serve, settings::SettingsArgs},
        exit::{Exit, Failure},
        present::{format::Format, json, out},
    },
    server,
};

/// Check or show the settings of `pipewright serve`
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print `ok`, or all errors in the settings with their places; also reads the files that
    /// they name
    Check(SettingsArgs),
    /// Print the effective settings as a TOML file, each with its source
    Show(SettingsArgs),
}

/// Checks or shows.
pub(crate) fn config(args: &ConfigArgs, format: Format) -> Result<Exit, Failure> {
    match &args.command {
        ConfigCommand::Check(args) => {
            let (_, config) = args.load()?.into_config();
            config.encryption_keys.as_ref().map_or(Ok(()), key::check)?;
            server::check(&config).map_err(serve::failure)?;
            out::print_line(match format {
                Format::Table => "ok",
                Format::Json => r#"{"ok":true}"#,
            })?;
        }
        ConfigCommand::Show(args) => {
            let settings = args.load()?.to_toml();
            match format {
                Format::Table => out::print(settings.as_bytes())?,
                Format::Json => {
                    let settings: toml::Table =
                        settings.parse().expect("what is shown is a valid file");
                    out::print_line(&json::pretty_value(&settings))?;
                }
            }
        }
    }
    Ok(Exit::Ok)
}
