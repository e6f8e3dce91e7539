//! The durable store: what it costs beside the memory store, and how it is with many jobs.

use std::{
    fs::File,
    io::{Seek, Write},
    path::Path,
    time::{Duration, Instant},
};

use pipewright::proto::v1;
use prost::Message;
use tempfile::TempDir;

use crate::{
    clients::{self, ANY_NUMBER_OF_JOBS, Ours, TRIGGER, echo, pipeline},
    crowds::memory,
    filled, idle,
    load::{Pace, Plan},
    mode::Mode,
    report::{Goal, Pair, Row, median},
    server::Server,
    unary::measured,
};

const FEW: u64 = 1_000;
/// What a write to the disk has at least.
const PAGE: usize = 4096;

pub(crate) async fn rows(mode: Mode) -> Vec<Row> {
    let mut rows = vec![together(mode).await, alone(mode).await];
    let (ended, active) = (mode.of(1_000_000, 10_000), mode.of(100_000, 1_000));
    rows.push(start(ended, active, mode).await);
    rows.extend(pages(ended, mode).await);
    rows
}

/// A service on a data directory.
fn on(directory: &Path, more: &[&str]) -> Ours {
    let flags = flags(directory);
    Ours::open(&[flags.as_slice(), more].concat())
}

fn flags(directory: &Path) -> Vec<&str> {
    let directory = ["--data-dir", directory.to_str().unwrap()];
    [ANY_NUMBER_OF_JOBS.as_slice(), &filled::KEPT, &directory].concat()
}

/// Triggers one pipeline from many callers, beside the memory store.
async fn together(mode: Mode) -> Row {
    let directory = filled::empty();
    let durable = Ours::guarded(&flags(directory.path()));
    let in_memory = Ours::guarded(&ANY_NUMBER_OF_JOBS);
    let durable_plan = triggers(&durable, mode).await;
    let memory_plan = triggers(&in_memory, mode).await;
    let (mut rounds, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let (ours, ours_cpu) = measured(&durable.server, &durable_plan);
        let (baseline, baseline_cpu) = measured(&in_memory.server, &memory_plan);
        rounds.push(Pair {
            ours: ours.per_second(),
            baseline: baseline.per_second(),
        });
        cpu.push(Pair {
            ours: ours_cpu,
            baseline: baseline_cpu,
        });
    }
    Row {
        what: "durable TriggerPipeline of one pipeline, 128 callers, by token".to_owned(),
        baseline: "the same in memory".to_owned(),
        unit: "calls/s",
        rounds,
        goal: Goal::AtLeast {
            goal: 0.5,
            stretch: 0.8,
        },
        cpu: Some(Pair::medians(&cpu)),
        memory: None,
        note: None,
    }
}

async fn triggers(ours: &Ours, mode: Mode) -> Plan {
    let created = ours.create(pipeline("service")).await;
    ours.plan(TRIGGER, vec![clients::trigger(&created)], mode)
}

/// Triggers one pipeline from one caller, beside an echo and what the disk needs.
async fn alone(mode: Mode) -> Row {
    let directory = filled::empty();
    let ours = Ours::guarded(&flags(directory.path()));
    let plan = one_by_one(triggers(&ours, mode).await);
    let bare = Server::bare();
    let echoes = echo(&bare, &plan);
    let (mut rounds, mut cpu, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let (own, own_cpu) = measured(&ours.server, &plan);
        let (echo, echo_cpu) = measured(&bare, &echoes);
        let sync = append(&directory, mode);
        rounds.push(Pair::micros(own.p50, echo.p50 + sync));
        cpu.push(Pair {
            ours: own_cpu,
            baseline: echo_cpu,
        });
        syncs.push(sync.as_secs_f64() * 1e6);
    }
    Row {
        what: "durable TriggerPipeline at concurrency 1, by token, p50".to_owned(),
        baseline: "bare stock tonic echo, and a page appended with fdatasync".to_owned(),
        unit: "µs",
        rounds,
        goal: Goal::AtMost {
            goal: 1.5,
            stretch: 1.2,
        },
        cpu: Some(Pair::medians(&cpu)),
        memory: None,
        note: Some(format!("of which the append {:.0} µs", median(syncs))),
    }
}

fn one_by_one(plan: Plan) -> Plan {
    Plan {
        connections: 1,
        pace: Pace::Closed {
            streams_per_connection: 1,
        },
        ..plan
    }
}

/// The median time to append a page and have it on the disk, where the file has its blocks
/// already.
fn append(directory: &TempDir, mode: Mode) -> Duration {
    let appends = mode.of(1_000, 20);
    let mut file = File::create(directory.path().join("appended")).unwrap();
    file.write_all(&vec![0; appends * PAGE]).unwrap();
    file.sync_all().unwrap();
    file.rewind().unwrap();
    let times = (0..appends).map(|_| {
        let begin = Instant::now();
        file.write_all(&[1; PAGE]).unwrap();
        file.sync_data().unwrap();
        begin.elapsed().as_secs_f64()
    });
    Duration::from_secs_f64(median(times))
}

/// From the start of the process to the first response, with many jobs.
async fn start(ended: u64, active: u64, mode: Mode) -> Row {
    let filled = filled::directory(ended, active).await;
    let empty = filled::empty();
    drop(on(empty.path(), &[]));
    let answered = |directory: &Path| {
        let begin = Instant::now();
        let ours = on(directory, &[]);
        let path = "/pipewright.v1.PipelineService/ListPipelines";
        let plan = ours.plan(path, vec![Vec::new()], mode);
        let (time, memory) = idle::answered(&ours.server, &plan, begin);
        (time.as_secs_f64(), memory)
    };
    let (mut times, mut baselines, mut memories) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let (time, memory) = answered(&filled);
        let (baseline, baseline_memory) = answered(empty.path());
        times.push(Pair::alone(time));
        baselines.push(baseline * 1e3);
        memories.push(Pair {
            ours: memory,
            baseline: baseline_memory,
        });
    }
    Row {
        what: format!("start with {active} active jobs of 3 stages and {ended} ended ones"),
        baseline: "–".to_owned(),
        unit: "s",
        rounds: times,
        goal: Goal::AtMost {
            goal: 2.0,
            stretch: 1.0,
        },
        cpu: None,
        memory: Some(Pair::medians(&memories)),
        note: Some(format!("of an empty directory {:.0} ms", median(baselines))),
    }
}

/// Pages of ended jobs, and the memory of the service after them.
async fn pages(ended: u64, mode: Mode) -> [Row; 2] {
    let (many, few) = (
        filled::directory(ended, 0).await,
        filled::directory(FEW, 0).await,
    );
    let none = filled::empty();
    let [many, few, none] = [&many, &few, none.path()].map(|directory| on(directory, &[]));
    let request = v1::ListJobsRequest {
        page_size: 50,
        ..Default::default()
    };
    let messages = vec![request.encode_to_vec()];
    let plan = |ours: &Ours| {
        let path = "/pipewright.v1.JobService/ListJobs";
        one_by_one(ours.plan(path, messages.clone(), mode))
    };
    let (mut rounds, mut cpu, mut memories) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let (with_many, many_cpu) = measured(&many.server, &plan(&many));
        let (with_few, few_cpu) = measured(&few.server, &plan(&few));
        measured(&none.server, &plan(&none));
        rounds.push(Pair::micros(with_many.p99, with_few.p99));
        cpu.push(Pair {
            ours: many_cpu,
            baseline: few_cpu,
        });
        memories.push(Pair {
            ours: memory(many.server.id()) as f64,
            baseline: memory(none.server.id()) as f64,
        });
    }
    let more = memories
        .iter()
        .map(|pair| Pair::alone((pair.ours - pair.baseline) / 1024.0));
    [
        Row {
            what: format!("memory of {ended} ended jobs"),
            baseline: "–".to_owned(),
            unit: "MiB",
            rounds: more.collect(),
            goal: Goal::AtMost {
                goal: 64.0,
                stretch: 16.0,
            },
            cpu: None,
            memory: Some(Pair::medians(&memories)),
            note: Some("more than of an empty directory".to_owned()),
        },
        Row {
            what: format!("ListJobs of 50 at {ended} ended, p99 at concurrency 1"),
            baseline: format!("itself at {FEW} ended"),
            unit: "µs",
            rounds,
            goal: Goal::AtMost {
                goal: 2.0,
                stretch: 1.2,
            },
            cpu: Some(Pair::medians(&cpu)),
            memory: None,
            note: None,
        },
    ]
}
