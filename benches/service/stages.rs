//! The throughput of no-op stages, compared with the minimum for each of them: a supervisor, a
//! shell and the command, started directly.

use std::time::Instant;

use crate::{
    crowds::stage,
    jobs::Client,
    mode::Mode,
    pin,
    report::{Goal, Pair, Row},
    server::Server,
    spawn::{Raw, repeat},
    usage,
};

const CONCURRENCY: usize = 2;

pub(crate) async fn rows(mode: Mode) -> Vec<Row> {
    let raw = Raw::running("true");
    vec![throughput(mode, &raw).await, supervisor(mode, &raw)]
}

async fn throughput(mode: Mode, raw: &Raw) -> Row {
    let (rounds, jobs, stages) = mode.of((7, 5, 200), (1, 1, 60));
    let all = jobs * stages;
    let workers = CONCURRENCY.to_string();
    let server = pin::nowhere(|| Server::with_runner(&["--workers", &workers]));
    let client = Client::connect(server.address);
    let each = (0..stages).map(|number| stage(&format!("s{number}"), "true"));
    let pipeline = client.create("no-op", each.collect()).await;
    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    run(&client, &pipeline, 1).await;
    for _ in 0..rounds {
        let used = usage::with_children(server.id());
        let began = Instant::now();
        run(&client, &pipeline, jobs).await;
        let ours = all as f64 / began.elapsed().as_secs_f64();
        let our_cpu = usage::with_children(server.id()) - used;

        let used = usage::with_children(std::process::id());
        let began = Instant::now();
        pin::nowhere(|| repeat(all, CONCURRENCY, || raw.supervised()));
        rates.push(Pair {
            ours,
            baseline: all as f64 / began.elapsed().as_secs_f64(),
        });
        let spent = usage::with_children(std::process::id()) - used;
        cpu.push(Pair {
            ours: our_cpu.as_secs_f64() * 1e6 / all as f64,
            baseline: spent.as_secs_f64() * 1e6 / all as f64,
        });
    }
    Row {
        what: "no-op stages, one runner, 2 at a time".into(),
        baseline: "raw spawn of supervisor → sh → true".into(),
        unit: "stages/s",
        rounds: rates,
        goal: Goal::AtLeast {
            goal: 0.7,
            stretch: 0.85,
        },
        cpu: Some(Pair::medians(&cpu)),
        memory: None,
        note: Some(raw.guards()),
    }
}

/// Triggers this many jobs and waits for the last one.
async fn run(client: &Client, pipeline: &str, jobs: usize) {
    let mut triggered = Vec::new();
    for _ in 0..jobs {
        triggered.push(client.trigger(pipeline).await);
    }
    for job in triggered {
        client.succeeded(&job).await;
    }
}

fn supervisor(mode: Mode, raw: &Raw) -> Row {
    let (rounds, times) = mode.of((7, 400), (1, 50));
    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (ours, our_cpu) = one_by_one(times, raw, Raw::supervised);
        let (baseline, its_cpu) = one_by_one(times, raw, Raw::plain);
        rates.push(Pair { ours, baseline });
        cpu.push(Pair {
            ours: our_cpu,
            baseline: its_cpu,
        });
    }
    Row {
        what: "supervisor → sh → true, one by one".into(),
        baseline: "raw spawn of sh → true".into(),
        unit: "commands/s",
        rounds: rates,
        goal: Goal::AtLeast {
            goal: 0.4,
            stretch: 0.6,
        },
        cpu: Some(Pair::medians(&cpu)),
        memory: None,
        note: Some(raw.guards()),
    }
}

/// Returns the rate per second, and the CPU time of each run in µs.
fn one_by_one(times: usize, raw: &Raw, run: fn(&Raw)) -> (f64, f64) {
    let used = usage::with_children(std::process::id());
    let began = Instant::now();
    pin::nowhere(|| repeat(times, 1, || run(raw)));
    let rate = times as f64 / began.elapsed().as_secs_f64();
    let used = usage::with_children(std::process::id()) - used;
    (rate, used.as_secs_f64() * 1e6 / times as f64)
}
