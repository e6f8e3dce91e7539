//! The binary as users run it.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

mod binary;
mod client_commands;
mod config;
mod contexts;
mod credentials;
#[path = "../support/crowds.rs"]
mod crowds;
mod data_directory;
mod encryption;
mod faults;
mod flat_commands;
#[path = "../support/frames.rs"]
mod frames;
#[path = "../support/git_server.rs"]
mod git_server;
mod keys;
mod local_runs;
mod observed;
#[path = "../support/offered.rs"]
mod offered;
mod outputs;
#[path = "../support/processes.rs"]
mod processes;
mod proxies;
mod recorder;
mod runners;
mod secure;
mod serving;
mod terminal;
mod watching;
