//! The runner through its public API, with leases from a test.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

mod checkouts;
mod commands;
mod fake_leases;
#[path = "../support/git_server.rs"]
mod git_server;
mod guards;
mod leases;
#[path = "../support/offered.rs"]
mod offered;
#[path = "../support/processes.rs"]
mod processes;
mod supervisors;
mod world;
