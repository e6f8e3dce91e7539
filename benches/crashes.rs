//! Kills the service while it is used, and checks what it has stored after each restart.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench that fails says so"
)]

#[path = "../tests/support/crash/mod.rs"]
mod crash;

use std::path::PathBuf;

use clap::Parser;

use crash::Plan;

#[derive(Parser)]
struct Options {
    /// How often the service is killed under load
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// How often it is killed in the middle of 200 jobs of three remote runners
    #[arg(long, default_value_t = 0)]
    among_jobs: u64,
    /// Determines what clients do and when the service dies; random if not set
    #[arg(long)]
    seed: Option<u64>,
    /// Program of the file system that drops unsynced writes when the service is killed
    #[arg(long)]
    unsynced: Option<PathBuf>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let plan = Plan {
        rounds: options.rounds,
        seed,
        unsynced: options.unsynced,
    };
    if plan.rounds > 0 {
        println!("{}", crash::run(&plan).await);
    }
    for number in 0..options.among_jobs {
        let summary = crash::kill_among_jobs(seed.wrapping_add(number)).await;
        println!("in the middle of 200 jobs: {summary}");
    }
}
