//! What a job knows of the logs of its stages.

/// Why bytes of a log are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GapReason {
    /// The log grew past its limit.
    SizeLimit,
    /// The log was given up for newer ones, its job was removed, or nothing is known of
    /// why the bytes are gone.
    Expired,
    /// The runner could not keep them until they were taken.
    RunnerDropped,
    /// The service could not store them, or lost what it had stored.
    NotStored,
}

/// How many bytes of a log are missing, by the reason of their gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLoss {
    /// [`GapReason::SizeLimit`].
    pub size_limit: u64,
    /// [`GapReason::RunnerDropped`].
    pub runner_dropped: u64,
    /// [`GapReason::NotStored`].
    pub not_stored: u64,
}

impl LogLoss {
    /// Whether nothing is missing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The log of a stage run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// Bytes of the whole log, those that are missing included.
    pub size: u64,
    /// What is missing, as of the end of the stage. A log may expire later.
    pub loss: LogLoss,
}

/// A log of which nothing is missing.
impl From<u64> for LogSummary {
    fn from(size: u64) -> Self {
        let loss = LogLoss::default();
        Self { size, loss }
    }
}
