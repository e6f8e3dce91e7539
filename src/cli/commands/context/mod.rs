//! `pipewright context ...`.

mod file;
mod model;
mod set;
mod show;

use clap::{Args, Subcommand};

use crate::cli::{
    exit::{Exit, Failure},
    present::{format::Format, out},
};

pub(crate) use file::ContextFile;

/// Manage contexts: services by name, with the options to connect to them
///
/// Contexts are stored in pipewright/config.toml in $XDG_CONFIG_HOME, or in ~/.config if that
/// is unset, or in the file that PIPEWRIGHT_CLIENT_CONFIG names. Commands that call a service
/// take options that are set neither on the command line nor in the environment from the
/// context that --context names, or from the current one.
#[derive(Args, Debug)]
pub(crate) struct ContextArgs {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    Set(Box<set::SetArgs>),
    Use(UseArgs),
    List(show::ListArgs),
    Show(show::ShowArgs),
    Remove(RemoveArgs),
}

/// Make a context the current one
#[derive(Args, Debug)]
struct UseArgs {
    /// Name of the context
    name: String,
}

/// Delete a context and its credentials
#[derive(Args, Debug)]
struct RemoveArgs {
    /// Name of the context
    name: String,
}

/// Runs one of the context commands; none of them calls a service.
pub(crate) fn context(args: ContextArgs, format: Format) -> Result<Exit, Failure> {
    let file = ContextFile::expect()?;
    match args.command {
        ContextCommand::Set(args) => args.run(&file)?,
        ContextCommand::Use(args) => args.run(&file)?,
        ContextCommand::List(args) => args.run(&file, format)?,
        ContextCommand::Show(args) => args.run(&file, format)?,
        ContextCommand::Remove(args) => args.run(&file)?,
    }
    Ok(Exit::Ok)
}

impl UseArgs {
    fn run(self, file: &ContextFile) -> Result<(), Failure> {
        let mut contexts = file.read()?;
        if !contexts.all.contains_key(&self.name) {
            return Err(Failure::NotFound(contexts.unknown_name(&self.name)));
        }
        contexts.current = Some(self.name);
        file.write(&contexts)
    }
}

impl RemoveArgs {
    fn run(self, file: &ContextFile) -> Result<(), Failure> {
        let mut contexts = file.read()?;
        if contexts.all.remove(&self.name).is_none() {
            return Err(Failure::NotFound(contexts.unknown_name(&self.name)));
        }
        let was_current = contexts.current.as_ref() == Some(&self.name);
        if was_current {
            contexts.current = None;
        }
        file.write(&contexts)?;
        if was_current {
            out::notice("it was the current context; now none is (`pipewright context use`)");
        }
        Ok(())
    }
}
