//! A few rounds of what `cargo bench --bench crashes` does at length.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

#[path = "../support/crash/mod.rs"]
mod crash;

use crash::Plan;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_service_is_killed() {
    let seed = rand::random();
    println!("seed {seed}");
    let plan = Plan {
        rounds: 3,
        seed,
        unsynced: None,
    };
    println!("{}", crash::run(&plan).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_of_remote_runners_outlive_the_service() {
    let seed = rand::random();
    println!("seed {seed}");
    println!("{}", crash::kill_among_jobs(seed).await);
}
