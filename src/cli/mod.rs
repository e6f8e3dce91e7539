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
    admin::AdminCommand, config, context, credentials, health, job::JobCommand,
    pipeline::PipelineCommand, project::ProjectCommand, run, runner, serve, service_command::Group,
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
    2  usage                    8  deadline
    3  invalid                  9  the job was cancelled by another
    4  not found              130  interrupted
    5  conflict";

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
    Health(health::HealthArgs),
    Context(context::ContextArgs),
}

/// Longest wait for threads at the end.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.output.format;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::Service(format!("cannot start threads: {error}"));
            return report(&failure, format);
        }
    };
    let ended = runtime.block_on(dispatch(cli.command, format));
    // What is dropped ends the stages that it runs. A thread that still writes to a
    // terminal which stands still is not waited for.
    runtime.shutdown_timeout(SHUTDOWN);
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => report(&failure, format),
    }
}

async fn dispatch(command: Command, format: Format) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => serve::serve(args).await,
        Command::Config(args) => config::config(&args),
        Command::Run(args) => run::run(args).await,
        Command::Pipeline(group) => group.run(format).await,
        Command::Job(group) => group.run(format).await,
        Command::Runner(args) => runner::runner(args, format).await,
        Command::Project(group) => group.run(format).await,
        Command::Admin(group) => group.run(format).await,
        Command::User(args) => credentials::user(args, format),
        Command::Token(args) => credentials::token(args, format),
        Command::Certificate(args) => credentials::certificate(args, format),
        Command::Health(args) => health::health(args).await,
        Command::Context(args) => context::context(args),
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
