//! The service beside bare tonic, row by row of what it is meant to reach. Each figure is
//! a ratio within this run, of rounds in turns: A B A B. docs/PERFORMANCE.md says what each
//! row does.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench that fails says so"
)]

#[path = "service/bare.rs"]
mod bare;
#[path = "service/clients.rs"]
mod clients;
#[path = "service/connection.rs"]
mod connection;
#[allow(dead_code, reason = "tests and another bench need more of it")]
#[path = "../tests/support/crowds.rs"]
mod crowds;
#[path = "service/generator.rs"]
mod generator;
#[path = "service/load.rs"]
mod load;
#[path = "service/machine.rs"]
mod machine;
#[path = "service/mode.rs"]
mod mode;
#[path = "service/pin.rs"]
mod pin;
#[path = "service/report.rs"]
mod report;
#[path = "support/server.rs"]
mod server;
#[path = "service/unary.rs"]
mod unary;

use mode::Mode;
use report::Row;

/// What can be asked for by `--rows`.
const NAMES: [&str; 1] = ["get"];

async fn rows(name: &str, mode: Mode) -> Vec<Row> {
    match name {
        "get" => unary::get(mode).await,
        _ => unreachable!("{NAMES:?} are all"),
    }
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some(bare::ARGUMENT) => run(bare::serve()),
        Some(load::ARGUMENT) => load::serve(),
        _ => match mode::asked(&NAMES) {
            Ok(asked) => run(measure(asked)),
            Err(mistake) => {
                eprintln!("{mistake}");
                std::process::exit(2);
            }
        },
    }
}

fn run(future: impl Future<Output = ()>) {
    // As `tokio::main` does, which makes as many threads as there are processors to it.
    tokio::runtime::Runtime::new().unwrap().block_on(future);
}

async fn measure(asked: mode::Asked) {
    println!("{}", pin::begin());
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
