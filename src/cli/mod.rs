//! The command line: the service itself, and a client of it.

mod commands;
mod connect;
mod exit;
#[cfg(fuzzing)]
pub mod fuzzing;
mod interrupt;
mod present;

use std::{env, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, error::ErrorKind};

use commands::{
    admin::AdminCommand,
    config, context, credentials, data, flat, health,
    job::JobCommand,
    key,
    pipeline::PipelineCommand,
    project::ProjectCommand,
    run, runner, serve,
    service_command::{Alone, Group},
};
use exit::{Exit, Failure};
use present::{
    error_json,
    format::{Format, Output},
    out,
};

/// A gRPC-native CI/CD pipeline service, and a client of it
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  ok                       6  not allowed
    1  the job failed           7  unavailable
    2  usage, local files       8  deadline
    3  invalid                  9  the job was cancelled by another
    4  not found              130  interrupted
    5  conflict

With -o json, results are JSON on standard output and errors are JSON on standard error.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Config(config::ConfigArgs),
    Run(run::RunArgs),
    /// Manage pipelines and start jobs
    Pipeline(Group<PipelineCommand>),
    /// Follow, cancel and retry jobs
    Job(Group<JobCommand>),
    Runner(runner::RunnerArgs),
    /// Manage projects, which own pipelines
    Project(Group<ProjectCommand>),
    /// Inspect the service itself
    Admin(Group<AdminCommand>),
    User(credentials::UserArgs),
    Token(credentials::TokenArgs),
    Certificate(credentials::CertificateArgs),
    Backup(data::BackupArgs),
    Store(data::StoreArgs),
    Key(key::KeyArgs),
    Health(health::HealthArgs),
    Context(context::ContextArgs),
    /// Create a pipeline; for scripts, prints JSON
    CreatePipeline(Alone<flat::CreateArgs>),
    /// Show a pipeline as JSON that --data takes; for scripts
    GetPipeline(Alone<flat::GetArgs>),
    /// Change a pipeline; for scripts, prints JSON
    UpdatePipeline(Alone<flat::UpdateArgs>),
    /// Start a job of a pipeline; for scripts, prints JSON
    TriggerPipeline(Alone<flat::TriggerArgs>),
    /// Delete a pipeline; for scripts, prints JSON
    DeletePipeline(Alone<flat::DeleteArgs>),
}

impl Cli {
    /// The output format of results and errors.
    fn format(&self) -> Format {
        use Command::{
            CreatePipeline, DeletePipeline, GetPipeline, TriggerPipeline, UpdatePipeline,
        };
        match self.command {
            CreatePipeline(_) | GetPipeline(_) | UpdatePipeline(_) | TriggerPipeline(_)
            | DeletePipeline(_) => Format::Json,
            _ => self.output.format,
        }
    }
}

/// Commands whose results and errors are JSON in any case.
const JSON_COMMANDS: [&str; 5] = [
    "create-pipeline",
    "get-pipeline",
    "update-pipeline",
    "trigger-pipeline",
    "delete-pipeline",
];

/// Longest wait for threads at exit.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs the command in the arguments of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let arguments = env::args_os().map(|argument| argument.to_string_lossy().into());
            return not_parsed(&error, format_of(&arguments.collect::<Vec<_>>()));
        }
    };
    let format = cli.format();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::Service(format!("cannot start threads: {error}"));
            return report(&failure, format);
        }
    };
    let ended = runtime.block_on(dispatch(cli.command, format));
    // Dropping the runtime ends its stages. A thread that still writes to a
    // blocked terminal is not waited for.
    runtime.shutdown_timeout(SHUTDOWN);
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => report(&failure, format),
    }
}

/// The output format requested by arguments that cannot be parsed.
fn format_of(arguments: &[String]) -> Format {
    let asks = |pair: &[String]| {
        matches!(&*pair[0], "-ojson" | "-o=json" | "--output=json")
            || matches!(&*pair[0], "-o" | "--output") && pair[1] == "json"
    };
    let ends = [arguments, &[String::new()]].concat();
    let is_word = |argument: &&String| {
        !argument.starts_with('-') && !matches!(&***argument, "json" | "table")
    };
    let command = arguments.iter().skip(1).find(is_word);
    let is_flat = command.is_some_and(|command| JSON_COMMANDS.contains(&&**command));
    if is_flat || ends.windows(2).any(asks) {
        Format::Json
    } else {
        Format::Table
    }
}

/// Prints the help, the version, or the error in the arguments.
fn not_parsed(error: &clap::Error, format: Format) -> ExitCode {
    if !error.use_stderr() {
        return match error.print().map_err(Failure::Output) {
            Ok(()) => Exit::Ok.into(),
            Err(failure) => report(&failure, format),
        };
    }
    if format == Format::Table
        || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        // If standard error is closed, there is no place to report that.
        let _ = error.print();
        return Exit::Usage.into();
    }
    report(&Failure::Usage(usage_message(error)), format)
}

/// The error message, without the usage and the hints after it.
fn usage_message(error: &clap::Error) -> String {
    let text = error.to_string();
    let message = text.strip_prefix("error: ").unwrap_or(&text);
    let message = message.split("\n\n").next().unwrap_or(message);
    let lines: Vec<_> = message.lines().map(str::trim).collect();
    lines.join(" ")
}

async fn dispatch(command: Command, format: Format) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => serve::serve(args).await,
        Command::Config(args) => config::config(&args, format),
        Command::Run(args) => run::run(args, format).await,
        Command::Pipeline(group) => group.run(format).await,
        Command::Job(group) => group.run(format).await,
        Command::Runner(args) => runner::runner(args, format).await,
        Command::Project(group) => group.run(format).await,
        Command::Admin(group) => group.run(format).await,
        Command::User(args) => credentials::user(args, format),
        Command::Token(args) => credentials::token(args, format),
        Command::Certificate(args) => credentials::certificate(args, format),
        Command::Backup(args) => data::backup(args, format),
        Command::Store(args) => data::store(args, format),
        Command::Key(args) => key::key(args, format),
        Command::Health(args) => health::health(args, format).await,
        Command::Context(args) => context::context(args, format),
        Command::CreatePipeline(command) => command.run(format).await,
        Command::GetPipeline(command) => command.run(format).await,
        Command::UpdatePipeline(command) => command.run(format).await,
        Command::TriggerPipeline(command) => command.run(format).await,
        Command::DeletePipeline(command) => command.run(format).await,
    }
}

fn report(failure: &Failure, format: Format) -> ExitCode {
    match format {
        Format::Table => failure.message().iter().for_each(|text| out::notice(text)),
        Format::Json => error_json::line(failure)
            .iter()
            .for_each(|line| out::error_line(line)),
    }
    failure.exit().into()
}

#[cfg(test)]
mod tests;
