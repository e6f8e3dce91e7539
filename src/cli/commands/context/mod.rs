//! `pipewright context ...`.

mod file;
mod model;
mod set;
mod show;

use clap::{Args, Subcommand};

use crate::cli::{
    exit::{Exit, Failure},
    present::out,
};

pub(crate) use file::ContextFile;

/// Keep services by name, with what it takes to reach them
///
/// Contexts are kept in pipewright/config.toml under XDG_CONFIG_HOME, which is ~/.config
/// where unset, or in the file that PIPEWRIGHT_CLIENT_CONFIG names. Commands against a
/// service take what neither their options nor the environment say from the context that
/// --context names, else from the current one.
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

/// Forget a context and its credentials
#[derive(Args, Debug)]
struct RemoveArgs {
    /// Name of the context
    name: String,
}

/// Does one of the context commands; none of them talks to a service.
pub(crate) fn context(args: ContextArgs) -> Result<Exit, Failure> {
    let file = ContextFile::expect()?;
    match args.command {
        ContextCommand::Set(args) => args.run(&file)?,
        ContextCommand::Use(args) => args.run(&file)?,
        ContextCommand::List(args) => args.run(&file)?,
        ContextCommand::Show(args) => args.run(&file)?,
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
        if contexts.current.as_ref() == Some(&self.name) {
            contexts.current = None;
            out::notice("it was the current context; now none is (`pipewright context use`)");
        }
        file.write(&contexts)
    }
}
