//! The service, the disk that its data directory is on, and the way to it.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use pipewright::proto::v1::{ListPipelinesRequest, pipeline_service_client::PipelineServiceClient};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};
use tonic::transport::{Channel, Endpoint};

/// Where the data directory is.
pub(crate) enum Disk {
    /// A directory; what was written outlives the process.
    Directory(TempDir),
    /// A file system that loses what was not synced.
    Unsynced(Box<Unsynced>),
}

/// The process of a file system in memory, which drops unsynced writes when it crashes.
pub(crate) struct Unsynced {
    mounted: PathBuf,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    process: Child,
    _parent: TempDir,
}

impl Disk {
    pub(crate) fn directory() -> Self {
        Self::Directory(tempfile::tempdir().unwrap())
    }

    /// Mounts the file system with its program. It has to run as root.
    pub(crate) async fn unsynced(program: &Path) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let mounted = parent.path().join("disk");
        std::fs::create_dir(&mounted).unwrap();
        let mut process = Command::new(program)
            .arg(&mounted)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the file system can be started");
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut disk = Unsynced {
            mounted,
            commands,
            answers,
            process,
            _parent: parent,
        };
        disk.expect("mounted").await;
        Self::Unsynced(Box::new(disk))
    }

    /// A directory that does not exist before the first start.
    pub(crate) fn data(&self) -> PathBuf {
        match self {
            Self::Directory(directory) => directory.path().join("data"),
            Self::Unsynced(disk) => disk.mounted.join("data"),
        }
    }

    pub(crate) fn is_unsynced(&self) -> bool {
        matches!(self, Self::Unsynced(_))
    }

    /// What a loss of power does, if the disk can lose anything.
    pub(crate) async fn crash(&mut self, seed: u64) {
        if let Self::Unsynced(disk) = self {
            let command = format!("crash {seed}\n");
            disk.commands.write_all(command.as_bytes()).await.unwrap();
            disk.expect("crashed").await;
        }
    }

    pub(crate) async fn close(self) {
        if let Self::Unsynced(mut disk) = self {
            drop(disk.commands);
            let ended = disk.process.wait().await.unwrap();
            assert!(ended.success(), "the file system was not unmounted");
        }
    }
}

impl Unsynced {
    async fn expect(&mut self, wanted: &str) {
        let answer = self.answers.next_line().await.unwrap();
        assert_eq!(answer.as_deref(), Some(wanted), "of the file system");
    }
}

/// An address that outlives the service, so that runners and clients find the next one.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    service: Arc<Mutex<Option<SocketAddr>>>,
    accepting: JoinHandle<()>,
}

impl Gateway {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let current = Arc::clone(&service);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let address = *current.lock();
                if let Some(address) = address {
                    tokio::spawn(forward(client, address));
                }
            }
        });
        Self {
            address,
            service,
            accepting,
        }
    }

    /// Sets the service that new connections go to.
    pub(crate) fn lead_to(&self, service: Option<SocketAddr>) {
        *self.service.lock() = service;
    }

    /// A connection of its own, opened on first use and again after each loss.
    pub(crate) fn channel(&self) -> Channel {
        channel(self.address)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_lazy()
}

async fn forward(mut client: TcpStream, address: SocketAddr) {
    let Ok(mut service) = TcpStream::connect(address).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = service.set_nodelay(true);
    // An error closes both.
    let _ = copy_bidirectional(&mut client, &mut service).await;
}

/// A process of `pipewright`, with what it wrote to standard error.
pub(crate) struct Process {
    child: Child,
    output: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

/// The binary of this build, or another one to check, without settings from the environment.
pub(crate) fn pipewright(temporary: &Path) -> Command {
    let other = env::var_os("PIPEWRIGHT_BINARY");
    let mut command = Command::new(other.unwrap_or(env!("CARGO_BIN_EXE_pipewright").into()));
    let settings = env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("PIPEWRIGHT_")) {
        command.env_remove(name);
    }
    command
        .env_remove("RUST_LOG")
        .env("PIPEWRIGHT_CLIENT_CONFIG", "/nonexistent/config.toml")
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Process {
    /// Starts it, and waits for a line. Answers with the line, or with all the output if it
    /// ended without it.
    pub(crate) async fn start(
        command: &mut Command,
        wanted: &str,
        kill_after: Option<Duration>,
    ) -> Started {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut output = String::new();
        let line = async {
            while let Ok(Some(line)) = lines.next_line().await {
                output.push_str(&line);
                output.push('\n');
                if line.contains(wanted) {
                    return Some(line);
                }
            }
            None
        };
        let killed = async {
            match kill_after {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let line = tokio::select! {
            line = line => line,
            () = killed => {
                child.kill().await.unwrap();
                return Started::Killed;
            }
        };
        let Some(line) = line else {
            let _ = child.wait().await;
            return Started::Ended(output);
        };
        let output = Arc::new(Mutex::new(output));
        let reading = tokio::spawn(read(lines, Arc::clone(&output)));
        let process = Self {
            child,
            output,
            reading,
        };
        Started::Runs(Box::new(process), line)
    }

    /// Ends it as a crash does, and returns its output.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        (&mut self.reading).await.unwrap();
        self.output()
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().clone()
    }

    /// Asks it to end, and returns its output.
    pub(crate) async fn stop(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = pid.and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, Signal::TERM).unwrap();
        let status = self.child.wait().await.unwrap();
        (&mut self.reading).await.unwrap();
        (status, self.output())
    }
}

pub(crate) enum Started {
    Runs(Box<Process>, String),
    Killed,
    Ended(String),
}

async fn read(mut lines: Lines<BufReader<ChildStderr>>, output: Arc<Mutex<String>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let mut output = output.lock();
        output.push_str(&line);
        output.push('\n');
    }
}

/// A service that has answered a call.
pub(crate) struct Service {
    process: Process,
    pub(crate) address: SocketAddr,
    /// From its start to its first answer.
    pub(crate) recovery: Duration,
}

impl Service {
    /// Starts it. None if it was killed before it listened.
    pub(crate) async fn start(
        data: &Path,
        temporary: &Path,
        kill_after: Option<Duration>,
    ) -> Option<Self> {
        let began = Instant::now();
        let mut command = pipewright(temporary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(data).args(FLAGS);
        let (process, line) = match Process::start(&mut command, "address=", kill_after).await {
            Started::Runs(process, line) => (*process, line),
            Started::Killed => return None,
            Started::Ended(output) => panic!("the service did not start:\n{output}"),
        };
        let (_, address) = line.split_once("address=").unwrap();
        let address = address.split_whitespace().next().unwrap().parse().unwrap();
        let mut pipelines = PipelineServiceClient::new(channel(address));
        let list = ListPipelinesRequest::default();
        pipelines.list_pipelines(list).await.expect("it answers");
        Some(Self {
            process,
            address,
            recovery: began.elapsed(),
        })
    }

    pub(crate) async fn kill(self) -> String {
        self.process.kill().await
    }

    pub(crate) async fn stop(self) -> (ExitStatus, String) {
        self.process.stop().await
    }
}

/// No limit is reached, and nothing is removed because of its age.
const FLAGS: [&str; 26] = [
    "--lease-ttl",
    "30s",
    "--kill-grace",
    "1s",
    "--workers",
    "4",
    "--max-requests-per-second",
    "0",
    "--max-active-jobs",
    "1000000",
    "--retain-jobs",
    "1000000",
    "--max-queued-stages",
    "1000000",
    "--max-streams-per-principal",
    "10000",
    "--max-streams-per-connection",
    "10000",
    "--max-connections-per-address",
    "1000",
    "--max-memory",
    "none",
    "--max-project-memory",
    "none",
    "--max-caller-memory",
    "none",
];
