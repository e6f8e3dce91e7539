//! Compares the service with bare tonic; each row has a goal. Each figure is a ratio within
//! this run, of alternating rounds: A B A B. docs/PERFORMANCE.md describes each row.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench that fails says so"
)]

#[path = "service/audience.rs"]
mod audience;
#[path = "service/bare.rs"]
mod bare;
#[path = "service/bare_log.rs"]
mod bare_log;
#[path = "service/broadcast.rs"]
mod broadcast;
#[path = "service/clients.rs"]
mod clients;
#[path = "service/command.rs"]
mod command;
#[path = "service/connection.rs"]
mod connection;
#[allow(dead_code, reason = "tests and another bench need more of it")]
#[path = "../tests/support/crowds.rs"]
mod crowds;
#[path = "service/durable.rs"]
mod durable;
#[path = "service/events.rs"]
mod events;
#[path = "service/fanout.rs"]
mod fanout;
#[path = "service/filled.rs"]
mod filled;
#[path = "service/generator.rs"]
mod generator;
#[path = "service/growth/mod.rs"]
mod growth;
#[path = "service/h2load.rs"]
mod h2load;
#[path = "service/idle.rs"]
mod idle;
#[path = "service/jobs.rs"]
mod jobs;
#[path = "service/latency.rs"]
mod latency;
#[path = "service/load.rs"]
mod load;
#[path = "service/logs.rs"]
mod logs;
#[path = "service/machine.rs"]
mod machine;
#[path = "service/mode.rs"]
mod mode;
#[path = "support/pin.rs"]
mod pin;
#[path = "service/player.rs"]
mod player;
#[path = "service/report.rs"]
mod report;
#[path = "service/runner.rs"]
mod runner;
#[path = "support/server.rs"]
mod server;
#[path = "service/spawn.rs"]
mod spawn;
#[path = "service/stages.rs"]
mod stages;
#[path = "service/stored.rs"]
mod stored;
#[path = "service/unary.rs"]
mod unary;
#[path = "service/usage.rs"]
mod usage;
#[path = "support/watchers.rs"]
mod watchers;

use mode::Mode;
use report::Row;

/// The names that `--rows` accepts.
const NAMES: [&str; 13] = [
    "get", "create", "update", "trigger", "latency", "fanout", "watchers", "start", "stored",
    "stages", "command", "logs", "durable",
];

fn names() -> &'static [&'static str] {
    if std::env::args().any(|argument| argument == "--growth") {
        &growth::NAMES
    } else {
        &NAMES
    }
}

async fn rows(name: &str, mode: Mode) -> Vec<Row> {
    match name {
        "get" => unary::get(mode).await,
        "create" => unary::create(mode),
        "update" => unary::update(mode).await,
        "trigger" => unary::trigger(mode).await,
        "latency" => latency::rows(mode).await,
        "fanout" => fanout::rows(mode).await,
        "watchers" => idle::memories(mode).await,
        "start" => idle::start(mode),
        "stored" => stored::rows(mode).await,
        "stages" => stages::rows(mode).await,
        "command" => command::rows(mode).await,
        "logs" => logs::rows(mode).await,
        "durable" => durable::rows(mode).await,
        _ => unreachable!("{NAMES:?} are all"),
    }
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some(bare::ARGUMENT) => run(bare::serve()),
        Some(load::ARGUMENT) => load::serve(),
        _ => match mode::asked(names()) {
            Ok(asked) => run(measure(asked)),
            Err(problem) => {
                eprintln!("{problem}");
                std::process::exit(2);
            }
        },
    }
}

fn run(future: impl Future<Output = ()>) {
    // As `tokio::main` does: one thread per processor that is available to this process.
    tokio::runtime::Runtime::new().unwrap().block_on(future);
}

async fn measure(asked: mode::Asked) {
    if asked.mode.h2load && !h2load::is_installed() {
        eprintln!("--h2load: it is not installed (nghttp2-client)");
        std::process::exit(2);
    }
    println!("{}", pin::begin());
    if asked.growth {
        return growth::measure(asked).await;
    }
    let mut all = Vec::new();
    for name in &asked.rows {
        eprintln!("measuring: {name}");
        for row in rows(name, asked.mode).await {
            eprintln!("{row}");
            all.push(row);
        }
    }
    let table = report::table(&all);
    println!("\n{table}");
    if asked.write {
        report::write(&table);
    }
}
