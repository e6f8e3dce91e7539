//! `pipewright run FILE`: service, runner and client in one process.

use std::{collections::BTreeMap, env, io, net::Ipv4Addr, path::PathBuf, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::{Args, value_parser};
use secrecy::SecretString;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinError, JoinHandle},
};
use tonic::transport::Endpoint;

use crate::{
    cli::{
        commands::{
            follow::{self, OnInterrupt, Style},
            input,
            pipeline::{create, trigger},
            secret_vars::SecretVars,
            serve,
        },
        connect::{
            caller::Credentials,
            client::{Client, request_id},
            connection::Connection,
            remote::key_value,
        },
        exit::{Exit, Failure},
        interrupt::Interrupts,
        present::{format::Format, out, text, view::JobView},
    },
    config::{Access, Config, EmbeddedRunner, Execution, Limits, Supervision},
    proto::v1,
    server::{self, ServeError},
    telemetry,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Connections to the private service; any shell's limit of open files suffices for them.
const MAX_CONNECTIONS: usize = 64;

/// Run a pipeline file on this machine, without a service
///
/// Commands run in the current directory with the current environment. Ctrl-C
/// cancels the job and waits for its end; a second Ctrl-C kills it immediately.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Pipeline file, in YAML or JSON; `-` is standard input
    file: PathBuf,
    /// Maximum number of stages that run at a time
    #[arg(
        long,
        env = "JOB_WORKERS",
        hide_env_values = true,
        default_value_t = 2,
        value_parser = value_parser!(u16).range(1..)
    )]
    workers: u16,
    /// Variable of all stages; may be repeated
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = key_value)]
    vars: Vec<(String, String)>,
    #[command(flatten)]
    secret_vars: SecretVars,
    /// Branch, tag or commit to check out; needs --clean
    #[arg(long = "ref", value_name = "REF", requires = "clean")]
    git_ref: Option<String>,
    /// Run in a fresh directory with a checkout and a minimal environment
    #[arg(long)]
    clean: bool,
    /// Do not remove control sequences, such as colors, from output that goes to a terminal;
    /// other output always has them
    #[arg(long)]
    raw: bool,
}

/// Runs the pipeline; the job's result is the exit code.
pub(crate) async fn run(args: RunArgs, format: Format) -> Result<Exit, Failure> {
    let pipeline = v1::Pipeline::from(input::read_file(&args.file)?);
    check_labels(&pipeline)?;
    let secrets = args.secret_vars.read()?;
    if !pipeline.git_repository.is_empty() && !args.clean {
        out::notice("running in this directory; --clean checks git_repository out instead");
    }
    let _traces = telemetry::init("warn");
    // Before anything is created that has to be removed.
    let interrupts = Interrupts::listen()?;
    let mut service = Service::start(&args).await?;
    let ended = tokio::select! {
        ended = run_job(&service.client, &args, format, pipeline, secrets, interrupts) => ended,
        failure = died(&mut service.task) => return Err(failure),
    };
    if matches!(ended, Ok(Exit::Interrupted)) {
        return ended;
    }
    match (ended, service.stop().await) {
        (Ok(Exit::Ok), Err(failure)) => Err(failure),
        // The job's result counts.
        (ended, _) => ended,
    }
}

/// Refuses a stage that would wait indefinitely: there will be no other runner.
fn check_labels(pipeline: &v1::Pipeline) -> Result<(), Failure> {
    let own = server::embedded_labels();
    for stage in &pipeline.stages {
        let missing = stage
            .runner_labels
            .iter()
            .find(|(key, value)| own.get(*key) != Some(value));
        if let Some((key, value)) = missing {
            let stage = text::one_line(&stage.name);
            let wanted = text::one_line(&format!("{key}={value}"));
            return Err(Failure::Invalid(format!(
                "stage `{stage}` asks for a runner with {wanted}, and this one is not; \
                 remove the label or trigger the pipeline on a service that has such a runner"
            )));
        }
    }
    Ok(())
}

async fn run_job(
    client: &Client,
    args: &RunArgs,
    format: Format,
    pipeline: v1::Pipeline,
    secret_variables: BTreeMap<String, String>,
    interrupts: Interrupts,
) -> Result<Exit, Failure> {
    let pipeline = create::create(client, pipeline, false).await?;
    let request = v1::TriggerPipelineRequest {
        pipeline_id: pipeline.id,
        git_ref: args.git_ref.clone().unwrap_or_default(),
        variables: args.vars.iter().cloned().collect(),
        secret_variables,
        request_id: request_id(),
        ..Default::default()
    };
    let job = trigger::trigger(client, request).await?;
    let style = Style {
        format,
        logs: true,
        raw: args.raw,
        on_interrupt: OnInterrupt::Cancel,
    };
    follow::follow(client, &job.id, JobView::after(0), style, interrupts).await
}

/// The service of this run, on a port and with a token that no other run has.
struct Service {
    client: Client,
    stop: oneshot::Sender<()>,
    task: ServiceTask,
}

type ServiceTask = JoinHandle<Result<(), ServeError>>;

impl Service {
    async fn start(args: &RunArgs) -> Result<Self, Failure> {
        let token = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let listener = serve::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let client = client(&listener, &token)?;
        let config = config(args, token)?;
        let (stop, stopped) = oneshot::channel();
        // Dropping the sender stops the service, too.
        let stopped = async move { drop(stopped.await) };
        let task = tokio::spawn(server::run(config, listener, stopped));
        Ok(Self { client, stop, task })
    }

    /// Stops the service and waits until it has cleaned up.
    async fn stop(self) -> Result<(), Failure> {
        // A service that has ended already needs no notification.
        let _ = self.stop.send(());
        drop(self.client);
        ended(self.task.await)
    }
}

/// Waits for the service to end without being asked to.
async fn died(task: &mut ServiceTask) -> Failure {
    match ended(task.await) {
        Ok(()) => Failure::Service("the service stopped by itself".to_owned()),
        Err(failure) => failure,
    }
}

fn ended(task: Result<Result<(), ServeError>, JoinError>) -> Result<(), Failure> {
    match task {
        Ok(served) => served.map_err(serve::failure),
        Err(panic) => Err(Failure::Service(panic.to_string())),
    }
}

fn client(listener: &TcpListener, token: &str) -> Result<Client, Failure> {
    let address = listener.local_addr();
    let address = address.map_err(|error| Failure::Service(format!("cannot listen: {error}")))?;
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .expect("a socket address makes a valid URL");
    let credentials = Credentials::bearer(&token.into()).expect("base64 is visible ASCII");
    Ok(Client::new(Connection::new(endpoint, credentials), TIMEOUT))
}

fn config(args: &RunArgs, token: String) -> Result<Config, Failure> {
    let execution = if args.clean {
        Execution::Isolated {
            workspace_dir: None,
            keep_workspaces: false,
        }
    } else {
        Execution::InPlace {
            directory: env::current_dir().map_err(no_place)?,
        }
    };
    Ok(Config {
        access: Access::Token(SecretString::from(token)),
        runner: Some(EmbeddedRunner {
            workers: args.workers.into(),
            execution,
            supervision: Supervision::default(),
        }),
        limits: Limits {
            max_connections: MAX_CONNECTIONS,
            ..Limits::default()
        },
        ..Config::default()
    })
}

fn no_place(error: io::Error) -> Failure {
    Failure::Local(format!(
        "cannot run in the current directory: {error}; change to one that exists"
    ))
}
