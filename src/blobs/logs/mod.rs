//! Stage logs: files of a bounded size, read at any offset.

mod directory;
mod file_logs;
mod gaps;
mod layout;
mod log;
mod shape;
#[cfg(test)]
mod tests;
mod total;

use std::{io, ops::Range};

use bytes::Bytes;

use crate::domain::{JobId, RunKey};

pub use file_logs::FileLogs;

/// Names the log of a stage run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogKey {
    /// The job.
    pub job_id: JobId,
    /// The run.
    pub run: RunKey,
}

/// How much is kept, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Of one log, at least 2: beyond it the first and the last half are kept.
    pub of_a_log: u64,
    /// Of all logs together: beyond it those that ended first go, but never one that
    /// is still written to.
    pub in_total: u64,
}

/// What was found at an offset of a log.
#[derive(Debug, PartialEq, Eq)]
pub enum LogRead {
    /// At least one byte.
    Bytes(Bytes),
    /// A range that starts at the offset and is not kept.
    Gap {
        /// At least one byte.
        range: Range<u64>,
        /// Why it is missing.
        reason: GapReason,
    },
    /// There is nothing, at least for now.
    End,
}

/// Why bytes of a log are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The log grew past its limit.
    SizeLimit,
    /// The log was given up for newer ones, or its job was forgotten.
    Expired,
    /// The runner could not keep them until they were taken.
    RunnerDropped,
}

/// Why bytes could not be appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The bytes would leave a hole after the committed size.
    #[error("the log ends at {committed}; bytes from a later offset leave a hole")]
    Hole {
        /// Everything below is stored.
        committed: u64,
    },
    /// The stage run is over, so its log stays as it is.
    #[error("the log has ended")]
    Ended,
    /// The file could not be written.
    #[error("the log could not be written: {0}")]
    Io(#[from] io::Error),
}
