//! A large log: from the command to the service's files, and from there to a client.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use pipewright::proto::v1;
use prost::Message;
use tempfile::TempDir;

use crate::{
    bare_log,
    crowds::stage,
    jobs::Client,
    load::{self, Pace, Plan, Until},
    mode::Mode,
    pin,
    report::{Goal, Pair, Row},
    server::Server,
    usage,
};

const METHOD: &str = "/pipewright.v1.JobService/ReadStageLog";
const NOTE: &str = "CPU per MiB; memory at the most beyond idle, 32,768 KiB are allowed";

pub(crate) async fn rows(mode: Mode) -> Vec<Row> {
    let (rounds, mebibytes) = mode.of((5, 1024), (1, 32));
    let log = Log::new(mebibytes).await;
    // The last stored log is the one that is read.
    let (stored, job) = log.store(rounds).await;
    vec![stored, log.read(rounds, job).await]
}

/// A file that a command writes as its log, and a service that stores the log.
struct Log {
    mebibytes: usize,
    /// Declared first, so that it is stopped before its files are removed.
    server: Server,
    directory: TempDir,
    client: Client,
    pipeline: String,
}

impl Log {
    async fn new(mebibytes: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("log");
        write_lines(&file, mebibytes);
        let (one, all) = (format!("{mebibytes}MiB"), format!("{}MiB", 2 * mebibytes));
        // The service is killed at the end, so it would not remove a temporary directory.
        let kept = directory.path().join("kept").display().to_string();
        let sizes = ["--max-stage-log", &one, "--max-log-total", &all];
        let flags = [&sizes[..], &["--log-dir", &kept]].concat();
        let server = pin::nowhere(|| Server::with_runner(&flags));
        let client = Client::connect(server.address);
        let command = format!("cat '{}'", file.display());
        let pipeline = client.create("log", vec![stage("s", &command)]).await;
        let small = client.create("small", vec![stage("s", "echo")]).await;
        client.succeeded(&client.trigger(&small).await).await;
        Self {
            mebibytes,
            server,
            directory,
            client,
            pipeline,
        }
    }

    async fn store(&self, rounds: usize) -> (Row, String) {
        let (mut rates, mut cpu, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        let mut job = String::new();
        for _ in 0..rounds {
            let meter = Meter::start(self.server.id());
            let began = Instant::now();
            job = self.client.trigger(&self.pipeline).await;
            let ended = self.client.succeeded(&job).await;
            let ours = meter.stop(began.elapsed());
            let size = self.mebibytes << 20;
            assert_eq!(ended.stage_runs[0].log_size_bytes, size as i64);

            let meter = Meter::start(std::process::id());
            let began = Instant::now();
            self.copy_by_pipe();
            let baseline = meter.stop(began.elapsed());
            rates.push(self.rates(ours, baseline));
            cpu.push(self.costs(ours, baseline));
            memory.push(Pair::alone(ours.memory));
        }
        let row = Row {
            what: format!("command → stored log of {} MiB", self.mebibytes),
            baseline: "cat through a pipe into a file".into(),
            unit: "MiB/s",
            rounds: rates,
            goal: Goal::AtLeast {
                goal: 0.3,
                stretch: 0.6,
            },
            cpu: Some(Pair::medians(&cpu)),
            memory: Some(Pair::medians(&memory)),
            note: Some(NOTE.into()),
        };
        (row, job)
    }

    async fn read(&self, rounds: usize, job_id: String) -> Row {
        // On all cores, as the service is, because it has a runner.
        let bare = pin::nowhere(Server::bare);
        let (stage_name, file) = ("s".to_owned(), self.file().display().to_string());
        let ours = self.plan(&self.server, METHOD, job_id, stage_name.clone());
        let theirs = self.plan(&bare, bare_log::FILE, file, stage_name);
        let (mut rates, mut cpu, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let meter = Meter::start(self.server.id());
            let ours = meter.stop(load::run(&ours).elapsed);
            let meter = Meter::start(bare.id());
            let baseline = meter.stop(load::run(&theirs).elapsed);
            rates.push(self.rates(ours, baseline));
            cpu.push(self.costs(ours, baseline));
            memory.push(Pair {
                ours: ours.memory,
                baseline: baseline.memory,
            });
        }
        Row {
            what: format!("reading a stage log of {} MiB", self.mebibytes),
            baseline: "bare tonic streaming the same file".into(),
            unit: "MiB/s",
            rounds: rates,
            goal: Goal::AtLeast {
                goal: 0.8,
                stretch: 1.0,
            },
            cpu: Some(Pair::medians(&cpu)),
            memory: Some(Pair::medians(&memory)),
            note: Some(NOTE.into()),
        }
    }

    fn plan(&self, server: &Server, path: &str, job_id: String, stage_name: String) -> Plan {
        let request = v1::ReadStageLogRequest {
            job_id,
            stage_name,
            ..Default::default()
        };
        Plan {
            address: server.address,
            path: path.to_owned(),
            authorization: None,
            messages: vec![request.encode_to_vec()],
            connections: 1,
            pace: Pace::Closed {
                streams_per_connection: 1,
            },
            until: Until::Calls(1),
        }
    }

    fn rates(&self, ours: Used, baseline: Used) -> Pair {
        let rate = |used: Used| self.mebibytes as f64 / used.elapsed.as_secs_f64();
        Pair {
            ours: rate(ours),
            baseline: rate(baseline),
        }
    }

    fn costs(&self, ours: Used, baseline: Used) -> Pair {
        let cost = |used: Used| used.cpu.as_secs_f64() * 1e6 / self.mebibytes as f64;
        Pair {
            ours: cost(ours),
            baseline: cost(baseline),
        }
    }

    /// The cost of a log without a service: the command's output goes through a pipe to a
    /// process that writes it to a file.
    fn copy_by_pipe(&self) {
        let copy = self.directory.path().join("copy");
        let (from, to) = (self.file(), copy.display());
        let script = format!("cat '{}' | cat >'{to}'", from.display());
        let copied = pin::nowhere(|| Command::new("/bin/sh").args(["-c", &script]).status());
        assert!(copied.unwrap().success());
        fs::remove_file(copy).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

/// The resources that a process used for one log.
#[derive(Clone, Copy)]
struct Used {
    elapsed: Duration,
    /// Includes its child processes.
    cpu: Duration,
    /// Peak memory in KiB, minus the memory before.
    memory: f64,
}

struct Meter {
    pid: u32,
    cpu: Duration,
    memory: u64,
}

impl Meter {
    fn start(pid: u32) -> Self {
        usage::forget_peak(pid);
        Self {
            pid,
            cpu: usage::with_children(pid),
            memory: usage::memory(pid),
        }
    }

    fn stop(self, elapsed: Duration) -> Used {
        let peak = usage::peak(self.pid);
        Used {
            elapsed,
            cpu: usage::with_children(self.pid) - self.cpu,
            memory: peak.saturating_sub(self.memory) as f64 / 1024.0,
        }
    }
}

/// Writes lines such as those of a build, all different.
fn write_lines(path: &Path, mebibytes: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut left = mebibytes << 20;
    for number in 0u64.. {
        let line = format!(
            "{number:>12}   Compiling crate-{number} v1.{}.0\n",
            number % 97
        );
        let part = &line.as_bytes()[..line.len().min(left)];
        file.write_all(part).unwrap();
        left -= part.len();
        if left == 0 {
            return file.flush().unwrap();
        }
    }
}
