//! The service through its generated client, on a free loopback port.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

mod access;
mod credentials;
mod jobs;
mod known;
mod leases;
mod lists;
mod log_limits;
mod log_losses;
mod logs;
mod memory;
mod numbers;
mod pipelines;
#[path = "../support/processes.rs"]
mod processes;
mod projects;
mod raw_runner;
mod runners;
mod secrets;
mod service;
mod service_life;
mod stages;
mod tasks;
mod validation;
mod watching;
