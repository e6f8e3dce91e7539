//! The time from a trigger to the start of its command.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use pipewright::proto::v1;
use prost::Message;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::{
    crowds::stage,
    jobs::Client,
    load::{Load, Pace, Plan, Until},
    mode::Mode,
    pin,
    report::{Goal, Pair, Row, median},
    server::Server,
    spawn::Raw,
    usage,
};

pub(crate) async fn rows(mode: Mode) -> Vec<Row> {
    let small = Triggered::start().await;
    vec![
        idle(mode, &small).await,
        large(mode, &small).await,
        loaded(mode, &small).await,
    ]
}

fn samples(mode: Mode) -> (usize, usize) {
    mode.of((5, 150), (1, 20))
}

async fn idle(mode: Mode, service: &Triggered) -> Row {
    let (rounds, samples) = samples(mode);
    let raw = Raw::running(&service.signal.command());
    let mut all = Vec::new();
    for _ in 0..rounds {
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for _ in 0..samples {
            ours.push(service.once().await);
            baseline.push(by_hand(&raw, &service.signal).await);
        }
        all.push(p99s(ours, baseline));
    }
    Row {
        what: "trigger → command running, idle, p99".into(),
        baseline: "raw spawn of supervisor → sh → command".into(),
        unit: "µs",
        rounds: all,
        goal: Goal::AtMost {
            goal: 2.0,
            stretch: 1.3,
        },
        cpu: None,
        memory: None,
        note: Some(raw.guards()),
    }
}

async fn large(mode: Mode, small: &Triggered) -> Row {
    let (rounds, samples) = samples(mode);
    let mebibytes = mode.of(2048, 64);
    let large = Triggered::start().await;
    large.fill(mebibytes << 20).await;
    let mut all = Vec::new();
    for _ in 0..rounds {
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for _ in 0..samples {
            ours.push(large.once().await);
            baseline.push(small.once().await);
        }
        all.push(p99s(ours, baseline));
    }
    let memory = |service: &Triggered| usage::memory(service.server.id()) as f64 / 1024.0;
    Row {
        what: format!("the same, service of {mebibytes} MiB"),
        baseline: "the service itself, small".into(),
        unit: "µs",
        rounds: all,
        goal: Goal::AtMost {
            goal: 1.2,
            stretch: 1.0,
        },
        cpu: None,
        memory: Some(Pair {
            ours: memory(&large),
            baseline: memory(small),
        }),
        note: None,
    }
}

async fn loaded(mode: Mode, service: &Triggered) -> Row {
    let (rounds, samples) = samples(mode);
    let plan = service.load(mode);
    let (mut all, mut reached) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for _ in 0..samples {
            baseline.push(service.once().await);
        }
        let load = pin::nowhere(|| Load::start(&plan));
        let load = spawn_blocking(|| load.finish());
        while !load.is_finished() {
            ours.push(service.once().await);
        }
        // The load ended during the last round, so that round is dropped.
        ours.pop();
        reached.push(load.await.unwrap().per_second());
        all.push(p99s(ours, baseline));
    }
    Row {
        what: "the same, under 20,000 calls/s".into(),
        baseline: "the service itself, idle".into(),
        unit: "µs",
        rounds: all,
        goal: Goal::AtMost {
            goal: 3.0,
            stretch: 2.0,
        },
        cpu: None,
        memory: None,
        note: Some(format!("{:.0} calls/s reached", median(reached))),
    }
}

fn p99s(ours: Vec<Duration>, baseline: Vec<Duration>) -> Pair {
    Pair {
        ours: p99(ours),
        baseline: p99(baseline),
    }
}

fn p99(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() * 99 / 100].as_secs_f64() * 1e6
}

/// A service with a pipeline whose command immediately signals that it runs.
struct Triggered {
    server: Server,
    client: Client,
    pipeline: String,
    signal: Arc<Signal>,
}

impl Triggered {
    async fn start() -> Self {
        let server = pin::nowhere(|| Server::with_runner(&[]));
        let client = Client::connect(server.address);
        let signal = Arc::new(Signal::new());
        let stages = vec![stage("s", &signal.command())];
        let pipeline = client.create("signal", stages).await;
        let triggered = Self {
            server,
            client,
            pipeline,
            signal,
        };
        triggered.once().await;
        triggered
    }

    /// The time from a trigger to the command's signal. Returns when the job has ended.
    async fn once(&self) -> Duration {
        let signal = Arc::clone(&self.signal);
        let seen = spawn_blocking(move || signal.seen());
        let began = Instant::now();
        let job = self.client.trigger(&self.pipeline).await;
        let seen = seen.await.unwrap();
        self.client.succeeded(&job).await;
        seen - began
    }

    /// Calls that get the pipeline, at a rate that does not use the whole machine.
    fn load(&self, mode: Mode) -> Plan {
        let request = v1::GetPipelineRequest {
            pipeline_id: self.pipeline.clone(),
            revision: 0,
        };
        Plan {
            address: self.server.address,
            path: "/pipewright.v1.PipelineService/GetPipeline".to_owned(),
            authorization: None,
            messages: vec![request.encode_to_vec()],
            connections: 4,
            pace: Pace::Open {
                per_second: 20_000.0,
            },
            until: Until::Elapsed(mode.of(Duration::from_secs(4), Duration::from_millis(500))),
        }
    }

    /// Stores pipelines until the service uses this many bytes of memory.
    async fn fill(&self, bytes: u64) {
        let command = "x".repeat(64 * 1024);
        for number in 0.. {
            if usage::memory(self.server.id()) >= bytes {
                return;
            }
            let stages = (0..15).map(|part| stage(&format!("s{part}"), &command));
            let name = format!("large-{number}");
            self.client.create(&name, stages.collect()).await;
        }
    }
}

/// The same time without a service.
async fn by_hand(raw: &Raw, signal: &Arc<Signal>) -> Duration {
    let signal = Arc::clone(signal);
    let seen = spawn_blocking(move || signal.seen());
    let began = Instant::now();
    pin::nowhere(|| raw.supervised());
    seen.await.unwrap() - began
}

/// A named pipe to which a command writes. Both of its ends are open here, so that neither
/// side blocks on opening it.
struct Signal {
    path: PathBuf,
    pipe: File,
    _directory: TempDir,
}

impl Signal {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("signal");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Self {
            pipe: both_ends(&path),
            path,
            _directory: directory,
        }
    }

    /// A shell builtin, so that no further process is started.
    fn command(&self) -> String {
        format!("echo >'{}'", self.path.display())
    }

    fn seen(&self) -> Instant {
        (&self.pipe).read_exact(&mut [0]).unwrap();
        Instant::now()
    }
}

fn both_ends(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(path).unwrap()
}
