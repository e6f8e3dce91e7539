//! Runs stages: takes leases, prepares the workspace, runs the action and ships its
//! log. Knows the service that assigns work only through [`Leases`].
//!
//! [`Runner`] is the entry point. A stage is run by `stage`: its lease is confirmed,
//! its workspace prepared, its action run, and its completion reported. All causes of an
//! early end are sent to one `Stop`.

mod actions;
mod agent;
#[cfg(fuzzing)]
pub mod fuzzing;
mod leases;
mod log;
mod mask;
mod process;
mod settings;
mod stage;
mod workspace;

pub use crate::{
    domain::lease::{
        Acquired, Appended, Completion, Directive, Lease, LeaseProof, LogAppend, Registered,
        Registration, Renewed, Report, StageWork, WorkRequest,
    },
    engine::{LeaseError, LeaseRefusal, Leases},
};
pub use agent::{Runner, run};
pub use leases::{CredentialsAdvice, RemoteLeases};
pub use mask::is_maskable;
pub use settings::{RunnerError, RunnerSettings, ServicePlace};
