use std::{collections::BTreeMap, io};

use super::LeaseRefusal;
use crate::{
    config::{Execution, Supervision},
    supervisor::Clock,
};

/// Settings of a runner.
#[derive(Clone, Debug)]
pub struct RunnerSettings {
    /// For people.
    pub display_name: String,
    /// A stage is given only to a runner that has all labels that it asks for.
    pub labels: BTreeMap<String, String>,
    /// Stages at once, at least 1; 0 counts as 1.
    pub capacity: usize,
    /// How commands are run.
    pub execution: Execution,
    /// What holds them within bounds.
    pub supervision: Supervision,
    /// Where its service is.
    pub service: ServicePlace,
}

/// Where the service of a runner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServicePlace {
    /// In the runner's own process: they start and end together, and stand still
    /// together while the machine is suspended.
    ThisProcess,
    /// On another machine, or as good as that. The runner keeps its id in the directory
    /// of its workspaces, if that is given, and has that directory alone: a process
    /// that follows this one is the same runner, and removes what it left behind.
    Elsewhere,
}

impl ServicePlace {
    /// The clock that does what the service's does while this machine is suspended.
    pub(super) fn clock(self) -> Clock {
        match self {
            Self::ThisProcess => Clock::Awake,
            Self::Elsewhere => Clock::Wall,
        }
    }
}

/// Why a runner cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The directory of the workspaces cannot be used.
    #[error(transparent)]
    Workspaces(#[from] io::Error),
    /// The service will never take it.
    #[error("the service does not take this runner: {message}")]
    Refused {
        /// What is wrong.
        why: LeaseRefusal,
        /// For people.
        message: String,
    },
}
