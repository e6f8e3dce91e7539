//! Stage logs: bytes of a bounded size, read at any offset.

#[cfg(test)]
mod conformance;
mod directory;
mod disk;
mod file_logs;
mod gap_file;
mod gaps;
mod layout;
mod log;
mod lost;
mod shape;
mod stored;
mod sync;
#[cfg(test)]
mod tests;
mod times;
mod total;
mod writer;

use std::{io, ops::Range, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::domain::{JobId, LogLoss, RunKey};

pub use crate::domain::GapReason;
pub use file_logs::{Durability, FileLogs};
pub use lost::{Lost, StorageFault};

/// Stores the logs of stage runs. The offset of a byte in its log never changes, and bytes
/// that are not kept any more are an explicit gap.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Appends bytes and returns the new size of the log. Bytes below the size count as
    /// resent. The `dropped` bytes before `offset` will never arrive; those of them
    /// that are not stored become a gap.
    ///
    /// A disk that cannot take the bytes is no error: as many as fit are kept, the others
    /// are a gap of [`GapReason::NotStored`], and the log continues after it. No stage waits
    /// for a disk.
    ///
    /// Completes even if the future is dropped. A crash leaves a part of the bytes
    /// or all of them; an append at [`size`](Self::size) continues from there.
    ///
    /// # Errors
    /// [`AppendError::Hole`] if bytes are missing that were not dropped. After
    /// [`AppendError::Io`] only the size is known.
    async fn append(
        &self,
        key: LogKey,
        offset: u64,
        dropped: u64,
        data: Bytes,
    ) -> Result<Kept, AppendError>;

    /// Reads at an offset: at most `limit` bytes, or a gap, neither of them
    /// beyond `until`. A log that is not kept is a single gap.
    async fn read(&self, key: LogKey, offset: u64, until: u64, limit: usize)
    -> io::Result<LogRead>;

    /// When the bytes of a range were written, in order of their offsets, at a resolution
    /// of 100 ms or coarser. The first entry may lie before the range: it covers its start.
    /// Best effort: a crash may lose times without a trace.
    async fn times(&self, key: LogKey, range: Range<u64>) -> io::Result<Vec<WriteTime>>;

    /// Size of the whole log so far, gaps included; 0 for an unknown log.
    fn size(&self, key: LogKey) -> u64;

    /// How much of the log is missing, and why; nothing for an unknown log.
    fn loss(&self, key: LogKey) -> LogLoss;

    /// Reports the size whenever it has grown. For logs that are still written to.
    fn subscribe(&self, key: LogKey) -> watch::Receiver<u64>;

    /// Makes sure that everything appended so far is stored, and returns the size. To be
    /// called before a size is committed anywhere else: a crash after it loses none of
    /// these bytes.
    ///
    /// A file that is gone, or that the disk does not accept, is no error: its bytes are a gap
    /// of [`GapReason::NotStored`] from now on. A failed sync is never repeated, as the
    /// kernel may have discarded the bytes and would report success.
    ///
    /// # Errors
    /// Only the size of the log is known.
    async fn sync(&self, key: LogKey) -> io::Result<Kept>;

    /// Ends a log: nothing can be appended any more, and from now on it may be evicted
    /// for newer ones.
    async fn close(&self, key: LogKey);

    /// Removes all logs of a job. Safe to repeat, after a crash too.
    async fn remove(&self, job_id: JobId) -> io::Result<()>;

    /// The jobs that have stored logs, in order, so that the logs of jobs that no longer
    /// exist can be removed.
    async fn jobs(&self) -> io::Result<Vec<JobId>>;

    /// Bytes kept of all logs.
    fn stored(&self) -> u64;
}

/// Names the log of a stage run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogKey {
    pub job_id: JobId,
    pub run: RunKey,
}

/// How much is kept, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Of one log, at least 2: beyond it the first half is kept and, up to an eighth of
    /// the limit less, the last half.
    pub of_a_log: u64,
    /// Of all logs together: beyond it those that ended first are evicted, but never one that
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

/// A log after a write.
#[derive(Debug)]
pub struct Kept {
    /// Its size: everything below is stored, or is a gap.
    pub size: u64,
    /// What could not be stored and is a gap now.
    pub lost: Option<Lost>,
}

impl Kept {
    /// Nothing was lost.
    pub fn all(size: u64) -> Self {
        Self { size, lost: None }
    }
}

/// When bytes were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteTime {
    /// The first of the bytes.
    pub offset: u64,
    /// By the clock of the service, to the microsecond. Goes back if that clock does.
    pub time: SystemTime,
}

/// Why bytes could not be appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The bytes would leave a hole after the committed size.
    #[error("the log ends at {committed}; bytes from a later offset leave a hole")]
    Hole {
        /// Every byte below it is stored.
        committed: u64,
    },
    /// The stage run is over, so its log stays as it is.
    #[error("the log has ended")]
    Ended,
    /// The store failed.
    #[error("the log could not be written: {0}")]
    Io(#[from] io::Error),
}
