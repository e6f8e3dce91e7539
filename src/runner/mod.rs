//! Runs stages: takes leases, prepares the workspace, supervises the command and
//! ships its log. Knows who hands out work only through [`Leases`].
//!
//! [`Runner`] is the whole of it; a stage goes through `stage`, which is a story of
//! `workspace`, `checkout`, `process` and `log`. Whatever may cut it short says so
//! to one `Stop`.

mod agent;
mod checkout;
mod completion;
mod deadline;
mod environment;
#[cfg(fuzzing)]
pub mod fuzzing;
mod git;
mod git_error;
mod guards;
mod held_lease;
mod home;
mod log;
mod mask;
mod output;
mod process;
mod progress;
mod remote;
mod removal;
mod retry;
mod stage;
mod stop;
mod workspace;

pub use crate::{
    domain::lease::{
        Acquired, Appended, Completion, Directive, Lease, LeaseProof, LogAppend, Registered,
        Registration, Renewed, Report, StageWork, WorkRequest,
    },
    engine::{LeaseError, LeaseRefusal, Leases},
};
pub use agent::{Runner, RunnerError, RunnerSettings, ServicePlace, run};
pub use remote::RemoteLeases;
