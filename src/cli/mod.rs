//! The command line: the service itself, and a client of it.

mod commands;
mod connect;
mod exit;
#[cfg(fuzzing)]
pub mod fuzzing;
mod interrupt;
mod present;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use commands::{
    admin, config, context, credentials, health, job, pipeline, project, run, runner, serve,
};
use connect::remote::Format;
use exit::{Exit, Failure};
use present::{error_json, out};

/// A gRPC-native CI/CD pipeline service, and a client of it
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  ok                       6  not allowed
    1  the job failed           7  unavailable
    2  usage                    8  deadline
    3  invalid                  9  the job was cancelled by another
    4  not found              130  interrupted
    5  conflict";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Config(config::ConfigArgs),
    Run(run::RunArgs),
    Pipeline(pipeline::PipelineArgs),
    Job(job::JobArgs),
    Runner(runner::RunnerArgs),
    Project(project::ProjectArgs),
    Admin(admin::AdminArgs),
    User(credentials::UserArgs),
    Token(credentials::TokenArgs),
    Certificate(credentials::CertificateArgs),
    Health(health::HealthArgs),
    Context(context::ContextArgs),
}

/// Longest wait for threads at the end.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.command.format();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::Service(format!("cannot start threads: {error}"));
            return report(&failure, format);
        }
    };
    let ended = runtime.block_on(dispatch(cli.command));
    // What is dropped ends the stages that it runs. A thread that still writes to a
    // terminal which stands still is not waited for.
    runtime.shutdown_timeout(SHUTDOWN);
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => report(&failure, format),
    }
}

async fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => serve::serve(args).await,
        Command::Config(args) => config::config(&args),
        Command::Run(args) => run::run(args).await,
        Command::Pipeline(args) => pipeline::pipeline(args).await,
        Command::Job(args) => job::job(args).await,
        Command::Runner(args) => runner::runner(args).await,
        Command::Project(args) => project::project(args).await,
        Command::Admin(args) => admin::admin(args).await,
        Command::User(args) => credentials::user(args),
        Command::Token(args) => credentials::token(args),
        Command::Certificate(args) => credentials::certificate(args),
        Command::Health(args) => health::health(args).await,
        Command::Context(args) => context::context(args),
    }
}

impl Command {
    /// The form of its answer.
    fn format(&self) -> Format {
        match self {
            Self::Pipeline(args) => args.format(),
            Self::Job(args) => args.format(),
            Self::Runner(args) => args.format(),
            Self::Project(args) => args.format(),
            Self::Admin(args) => args.format(),
            _ => Format::Table,
        }
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
