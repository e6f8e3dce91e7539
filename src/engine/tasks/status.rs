use std::time::{Duration, SystemTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It waits for its next run.
    Idle,
    Running,
}

/// The last runs of a background task and its next one. Counts are since the start
/// of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// In snake case; the label `task` of the metrics.
    pub name: &'static str,
    pub description: &'static str,
    /// Longest pause between two runs.
    pub period: Duration,
    pub state: TaskState,
    /// Runs that ended, failed ones included.
    pub runs: u64,
    pub failures: u64,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Items processed in all runs.
    pub items: u64,
    /// Start of the newest run.
    pub last_start: Option<SystemTime>,
    /// Length of the newest run that ended.
    pub last_duration: Option<Duration>,
    /// End of the newest run that succeeded.
    pub last_success: Option<SystemTime>,
    /// Error of the newest run that failed, at most 512 bytes; kept after a success.
    pub last_error: Option<String>,
    /// Latest start of the next run; `None` while a run is in progress.
    pub next_run: Option<SystemTime>,
}
