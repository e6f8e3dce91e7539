//! `pipewright serve`.

use std::{net::SocketAddr, sync::Arc};

use clap::Args;
use tokio::net::TcpListener;

use crate::{
    cli::{
        commands::settings::SettingsArgs,
        exit::{Exit, Failure},
        interrupt::Interrupts,
    },
    runner::RunnerError,
    server::{self, Environment, ServeError},
    telemetry,
};

/// Run the service, with a runner in its process
#[derive(Args, Debug)]
#[command(after_help = SETTINGS)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

const SETTINGS: &str = "\
Each setting has the same name in all three places: `max_connections = 500` in the file,
PIPEWRIGHT_MAX_CONNECTIONS=500 in the environment, and the flag --max-connections 500. To turn
off a switch that is on by default, write `reflection = false` in the file. Flags override the
environment, and the environment overrides the file.
`pipewright config check` and `pipewright config show` take the same flags.";

/// Serves until SIGINT or SIGTERM, or until its terminal is closed. Any other SIGHUP reloads
/// credentials and certificates.
pub(crate) async fn serve(args: ServeArgs) -> Result<Exit, Failure> {
    let (listen, config) = args.settings.load()?.into_config();
    let _telemetry = telemetry::init("info");
    let environment = Environment::default();
    let mut interrupts = Interrupts::of_service(Arc::clone(&environment.reload))?;
    let listener = bind(listen).await?;
    let stop = async move { interrupts.next().await };
    let served = server::run_in(environment, config, listener, stop).await;
    served.map_err(failure)?;
    Ok(Exit::Ok)
}

/// Listens on the address.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Service(format!("cannot listen on {address}: {error}")))
}

/// Distinguishes permanent errors from those that a retry may not meet.
pub(crate) fn failure(error: ServeError) -> Failure {
    let message = error.to_string();
    match error {
        ServeError::KeyFile(error) => error.into(),
        ServeError::DataDirectory(error) => error.into(),
        ServeError::Credentials(_) | ServeError::Tls(_) | ServeError::Keys(_) => {
            Failure::Invalid(message)
        }
        ServeError::Directory { .. }
        | ServeError::Unprepared(RunnerError::Workspaces(_))
        | ServeError::Runner(RunnerError::Workspaces(_)) => Failure::Local(message),
        ServeError::Unprepared(_)
        | ServeError::Runner(_)
        | ServeError::Reflection(_)
        | ServeError::Store(_)
        | ServeError::WriteFailed
        | ServeError::Task(_) => Failure::Service(message),
    }
}
