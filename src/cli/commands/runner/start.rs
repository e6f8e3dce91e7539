//! `pipewright runner`.

use std::{collections::BTreeMap, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use clap::{
    ArgMatches, Args, Command, Error, FromArgMatches, error::ErrorKind, parser::ValueSource,
    value_parser,
};
use tokio::time;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cli::{
        commands::guard::GuardArgs,
        connect::{connection::Connection, remote::key_value},
        exit::{Exit, Failure},
        interrupt::Interrupts,
    },
    config::{Execution, duration},
    runner::{
        self, CredentialsAdvice, LeaseRefusal, RemoteLeases, RunnerError, RunnerSettings,
        ServicePlace,
    },
    server, telemetry,
};

/// Labels, capacity and workspaces of the runner.
#[derive(Args, Debug)]
pub(crate) struct StartArgs {
    /// Label of this runner, in addition to os and arch, which it can override; separate
    /// several with commas, or repeat the option
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Maximum number of stages that run at a time
    #[arg(
        long,
        env = "JOB_WORKERS",
        hide_env_values = true,
        default_value_t = 2,
        value_parser = value_parser!(u16).range(1..=10_000)
    )]
    capacity: u16,
    /// Display name of this runner [default: the host name]
    #[arg(long)]
    name: Option<String>,
    /// Parent directory of the workspaces, not shared with other runners; it also holds the
    /// runner's id, so that a restarted runner keeps it [default: a temporary directory]
    #[arg(long)]
    workspace_dir: Option<PathBuf>,
    /// Keep the workspaces of ended jobs, for debugging
    #[arg(long)]
    keep_workspaces: bool,
    #[command(flatten)]
    guard: GuardArgs,
    /// How long a stop waits for jobs that have started; a second signal stops immediately
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    drain: Duration,
}

/// The options of a runner. They are refused together with a subcommand: only the common
/// options may precede it.
#[derive(Debug)]
pub(super) struct Start(pub(super) StartArgs);

impl Args for Start {
    fn augment_args(command: Command) -> Command {
        StartArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        StartArgs::augment_args_for_update(command)
    }
}

impl FromArgMatches for Start {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        if let Some(subcommand) = matches.subcommand_name() {
            let mut own = StartArgs::augment_args(Command::new("runner"));
            // Only then can its arguments be named.
            own.build();
            let given = own.get_arguments().find(|arg| {
                matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
            });
            if let Some(arg) = given {
                return Err(Error::raw(
                    ErrorKind::ArgumentConflict,
                    format!("the subcommand '{subcommand}' cannot be used with '{arg}'"),
                ));
            }
        }
        StartArgs::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl StartArgs {
    /// Runs stages until SIGINT or SIGTERM, or until its terminal is closed. Any other SIGHUP
    /// is ignored, as there is nothing to reload.
    pub(super) async fn run(self, service: Connection) -> Result<Exit, Failure> {
        let _telemetry = telemetry::init("info");
        let mut interrupts = Interrupts::of_service(Arc::default())?;
        let drain = self.drain;
        let leases = RemoteLeases::new(
            &service.endpoint,
            service.headers.clone(),
            self.capacity.into(),
        );
        let leases = leases.advising(advice(&service));
        let place = service.clone();
        let leases = leases.explaining(move |status| place.not_reached(status));
        let stop = CancellationToken::new();
        // Dropping it kills the stages that still run.
        let mut running = pin!(runner::run(Arc::new(leases), self.settings(), stop.clone()));
        tokio::select! {
            ended = &mut running => return ended.map(|()| Exit::Ok).map_err(|error| failure(error, &service)),
            () = interrupts.next() => {}
        }
        tracing::info!("stopping: taking no new jobs, waiting for those that were begun");
        stop.cancel();
        let exit = tokio::select! {
            ended = running => {
                ended.map_err(|error| failure(error, &service))?;
                tracing::info!("stopped");
                return Ok(Exit::Ok);
            }
            () = interrupts.next() => Exit::Interrupted,
            () = time::sleep(drain) => Exit::Ok,
        };
        tracing::warn!("stopped; stages that still ran are killed, and the service sees them lost");
        Ok(exit)
    }

    fn settings(self) -> RunnerSettings {
        RunnerSettings {
            display_name: self.name.unwrap_or_else(machine),
            labels: labels(self.labels),
            capacity: self.capacity.into(),
            execution: Execution::Isolated {
                workspace_dir: self.workspace_dir,
                keep_workspaces: self.keep_workspaces,
            },
            supervision: self.guard.into(),
            service: ServicePlace::Elsewhere,
        }
    }
}

/// What to do when the service no longer accepts the runner's credentials.
fn advice(service: &Connection) -> CredentialsAdvice {
    let token_file = service.headers.credentials.token_file();
    let remedy = match token_file {
        Some(file) => format!(
            "write a valid token to {}, which is read again when it changes",
            file.display()
        ),
        None => "start the runner again with credentials that are valid".to_owned(),
    };
    CredentialsAdvice {
        remedy,
        may_change: token_file.is_some(),
    }
}

fn labels(given: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut labels = server::embedded_labels();
    labels.extend(given);
    labels
}

fn machine() -> String {
    // The runner also starts on a machine without a name.
    nix::unistd::gethostname().map_or_else(
        |_| String::new(),
        |name| runner_name(&name.to_string_lossy()),
    )
}

/// In some clouds the host name is a UUID, which is not valid as the name of a runner.
fn runner_name(machine: &str) -> String {
    if Uuid::parse_str(machine).is_ok() {
        format!("host-{machine}")
    } else {
        machine.to_owned()
    }
}

fn failure(error: RunnerError, service: &Connection) -> Failure {
    let message = error.to_string();
    match error {
        RunnerError::Refused { why, .. } => match why {
            LeaseRefusal::Invalid => Failure::Invalid(message),
            LeaseRefusal::NotKnown => {
                Failure::NotAllowed(format!("{message}\n  {}", service.credentials_hint()))
            }
            LeaseRefusal::NotAllowed => Failure::NotAllowed(message),
            LeaseRefusal::NotSupported => Failure::Service(message),
        },
        RunnerError::Workspaces(_) => Failure::Local(message),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: StartArgs,
    }

    #[test]
    fn labels_add_to_the_machines_own_and_override_them() {
        let line = ["runner", "--labels", "gpu=a100,os=plan9", "--labels", "eu="];
        let settings = Line::parse_from(line).args.settings();
        let label = |key: &str| settings.labels.get(key).map(String::as_str);
        assert_eq!(label("gpu"), Some("a100"));
        assert_eq!(label("os"), Some("plan9"));
        assert_eq!(label("eu"), Some(""));
        assert_eq!(label("arch"), Some(std::env::consts::ARCH));
        assert_eq!(settings.labels.len(), 4);
        assert!(!settings.display_name.is_empty());
    }

    #[test]
    fn a_machine_named_by_a_uuid_gets_a_name_that_is_no_id() {
        let id = "0190b2f0-0000-7000-8000-000000000001";
        assert_eq!(runner_name(id), format!("host-{id}"));
        assert_eq!(runner_name("build-1"), "build-1");
    }
}
