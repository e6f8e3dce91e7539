//! `pipewright serve`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, value_parser};
use tokio::net::TcpListener;

use crate::{
    cli::{
        duration,
        exit::{Exit, Failure},
        guard::GuardArgs,
        interrupt::Interrupts,
        size,
    },
    config::{Access, Config, EmbeddedRunner, Execution},
    server, telemetry,
};

/// Run the service, with a runner in its process
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// Allow an address that others can reach; whoever reaches it can run commands
    #[arg(long)]
    insecure: bool,
    /// Stages that run at once in this process
    #[arg(
        long,
        env = "JOB_WORKERS",
        hide_env_values = true,
        default_value_t = 2,
        value_parser = value_parser!(u16).range(1..)
    )]
    workers: u16,
    /// Directory of the stage logs; a temporary one when unset
    #[arg(long, env = "BUILD_LOG_DIR", hide_env_values = true)]
    log_dir: Option<PathBuf>,
    /// Most bytes to keep of the log of a stage; past it its first and last halves are kept
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::stage_log)]
    max_stage_log: u64,
    /// Most bytes to keep of all logs; past it those go whose stages ended first
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size::parse)]
    max_log_total: u64,
    /// Parent directory of the workspaces; a temporary one when unset
    #[arg(long)]
    workspace_dir: Option<PathBuf>,
    /// Leave workspaces behind when their job is over, for debugging
    #[arg(long)]
    keep_workspaces: bool,
    #[command(flatten)]
    guard: GuardArgs,
    /// Run no stages in this process but leave them all to `pipewright runner`
    #[arg(long)]
    no_embedded_runner: bool,
    /// Ended jobs to keep
    #[arg(long, default_value_t = 10_000)]
    retain_jobs: usize,
    /// How long to keep an ended job at least
    #[arg(long, default_value = "1h", value_parser = duration::parse)]
    retain_jobs_for: Duration,
    /// Time between the polite and the sure kill of a stage
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    kill_grace: Duration,
    /// Lifetime of a runner's lease on a stage, 1 s to 10 min
    #[arg(long, default_value = "30s", value_parser = duration::lease_ttl)]
    lease_ttl: Duration,
    /// How long a stop waits for running stages and open streams
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    drain: Duration,
}

/// Serves until SIGINT or SIGTERM.
pub(crate) async fn serve(args: ServeArgs) -> Result<Exit, Failure> {
    refuse_strangers(args.listen, args.insecure)?;
    let _traces = telemetry::init("info");
    let mut interrupts = Interrupts::listen()?;
    let listener = bind(args.listen).await?;
    let stop = async move { interrupts.next().await };
    let served = server::run(args.config(), listener, stop).await;
    served.map_err(|error| Failure::Service(error.to_string()))?;
    Ok(Exit::Ok)
}

impl ServeArgs {
    fn config(self) -> Config {
        let execution = Execution::Isolated {
            workspace_dir: self.workspace_dir,
            keep_workspaces: self.keep_workspaces,
        };
        let runner = EmbeddedRunner {
            workers: self.workers.into(),
            execution,
            supervision: self.guard.into(),
        };
        Config {
            access: Access::Open,
            runner: (!self.no_embedded_runner).then_some(runner),
            log_dir: self.log_dir,
            max_stage_log: self.max_stage_log,
            max_log_total: self.max_log_total,
            retain_jobs: self.retain_jobs,
            retain_jobs_for: self.retain_jobs_for,
            kill_grace: self.kill_grace,
            lease_ttl: self.lease_ttl,
            drain: self.drain,
            ..Config::default()
        }
    }
}

fn refuse_strangers(listen: SocketAddr, insecure: bool) -> Result<(), Failure> {
    if listen.ip().is_loopback() || insecure {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--listen {listen} can be reached by others, and the service has no credentials yet: \
         whoever reaches it can run commands as you. Listen on a loopback address, or say \
         --insecure if something else keeps strangers out"
    )))
}

/// Listens on the address.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Service(format!("cannot listen on {address}: {error}")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }

    #[test]
    fn strangers_need_a_word() {
        let refused = |address: &str, insecure| {
            refuse_strangers(address.parse().unwrap(), insecure)
                .err()
                .and_then(|failure| failure.message())
        };
        assert_eq!(refused("127.0.0.1:1", false), None);
        assert_eq!(refused("[::1]:1", false), None);
        assert_eq!(refused("0.0.0.0:1", true), None);
        insta::assert_snapshot!(refused("0.0.0.0:1", false).unwrap());
    }

    #[test]
    fn the_defaults_are_those_of_the_service() {
        let config = Line::parse_from(["serve"]).args.config();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }
}
