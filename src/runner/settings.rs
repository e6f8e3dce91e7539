use std::{collections::BTreeMap, io};

use super::LeaseRefusal;
use crate::{
    config::{Execution, Supervision},
    supervisor::Clock,
};

#[derive(Clone, Debug)]
pub struct RunnerSettings {
    /// For people.
    pub display_name: String,
    /// A stage is given only to a runner that has all labels that it asks for.
    pub labels: BTreeMap<String, String>,
    /// Concurrent stages, at least 1; 0 counts as 1.
    pub capacity: usize,
    /// How commands are run.
    pub execution: Execution,
    /// How they are kept within their limits.
    pub supervision: Supervision,
    pub service: ServicePlace,
}

/// Where the service of a runner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServicePlace {
    /// In the runner's own process: they start and end together, and are suspended
    /// together with the machine.
    ThisProcess,
    /// On another machine, or in another process. The runner keeps its id in the directory
    /// of its workspaces, if one is configured, and locks that directory exclusively: a process
    /// that is started later with it is the same runner, and removes what this one left behind.
    Elsewhere,
}

impl ServicePlace {
    /// The clock that behaves as the service's does while this machine is suspended.
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
    /// The service refuses it permanently.
    #[error("the service does not take this runner: {message}")]
    Refused {
        /// What is wrong.
        why: LeaseRefusal,
        /// For people.
        message: String,
    },
}
