use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::{
    blobs::logs::{AppendError, GapReason, LogKey, LogLimits, LogRead, LogStore},
    domain::{JobId, RunKey},
};

/// Opens a store in the place of the previous one, which is closed.
pub(crate) trait Reopen {
    fn open(&self, limits: LogLimits) -> Arc<dyn LogStore>;
}

/// A store, and a way to call it from a synchronous test.
pub(crate) struct World {
    runtime: Runtime,
    reopen: Box<dyn Reopen>,
    limits: LogLimits,
    store: Option<Arc<dyn LogStore>>,
}

impl World {
    /// With an empty store and a limit for each log.
    pub(crate) fn with(reopen: Box<dyn Reopen>, of_a_log: u64) -> Self {
        let in_total = u64::MAX;
        Self::limited(reopen, LogLimits { of_a_log, in_total })
    }

    pub(crate) fn limited(reopen: Box<dyn Reopen>, limits: LogLimits) -> Self {
        Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            store: Some(reopen.open(limits)),
            reopen,
            limits,
        }
    }

    pub(crate) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.reopen.open(self.limits));
    }

    /// Reopens the store, with another limit for each log.
    pub(crate) fn limit(&mut self, of_a_log: u64) {
        self.limits.of_a_log = of_a_log;
        self.reopen();
    }

    pub(crate) fn store(&self) -> &dyn LogStore {
        self.store.as_deref().unwrap()
    }

    pub(crate) fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Appends the bytes that belong at an offset.
    pub(crate) fn try_append(
        &self,
        key: LogKey,
        range: Range<u64>,
        dropped: u64,
    ) -> Result<u64, AppendError> {
        let data = Bytes::from(bytes(range.clone()));
        let kept = self.wait(self.store().append(key, range.start, dropped, data))?;
        assert!(kept.lost.is_none(), "{:?}", kept.lost);
        Ok(kept.size)
    }

    pub(crate) fn sync(&self, key: LogKey) -> u64 {
        let kept = self.wait(self.store().sync(key)).unwrap();
        assert!(kept.lost.is_none(), "{:?}", kept.lost);
        kept.size
    }

    #[track_caller]
    pub(crate) fn append(&self, key: LogKey, range: Range<u64>) {
        let end = range.end;
        assert_eq!(self.try_append(key, range, 0).unwrap(), end);
    }

    pub(crate) fn close(&self, key: LogKey) {
        self.wait(self.store().close(key));
    }

    pub(crate) fn read(&self, key: LogKey, range: Range<u64>, limit: usize) -> LogRead {
        let read = self.store().read(key, range.start, range.end, limit);
        self.wait(read).unwrap()
    }

    /// All reads of a range; consecutive bytes are merged.
    pub(crate) fn read_all(&self, key: LogKey, range: Range<u64>, limit: usize) -> Vec<LogRead> {
        let mut reads = Vec::new();
        let mut offset = range.start;
        loop {
            let read = self.read(key, offset..range.end, limit);
            let Some(found) = range_of(&read, offset) else {
                return reads;
            };
            assert!(found.end > offset && found.end <= range.end, "{found:?}");
            offset = found.end;
            match (reads.last_mut(), read) {
                (Some(LogRead::Bytes(before)), LogRead::Bytes(more)) => {
                    *before = [&before[..], &more[..]].concat().into();
                }
                (_, read) => reads.push(read),
            }
        }
    }

    pub(crate) fn all(&self, key: LogKey) -> Vec<LogRead> {
        self.read_all(key, 0..self.store().size(key), 1 << 20)
    }
}

/// The range of a read at an offset; none at the end.
pub(crate) fn range_of(read: &LogRead, offset: u64) -> Option<Range<u64>> {
    match read {
        LogRead::Bytes(data) => Some(offset..offset + data.len() as u64),
        LogRead::Gap { range, .. } => {
            assert_eq!(range.start, offset);
            Some(range.clone())
        }
        LogRead::End => None,
    }
}

/// The log of a stage run of some job.
pub(crate) fn key(job: u128) -> LogKey {
    LogKey {
        job_id: JobId(Uuid::from_u128(job)),
        run: RunKey {
            stage: 0,
            attempt: 1,
        },
    }
}

/// Bytes whose values follow from their offsets.
pub(crate) fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(byte).collect()
}

fn byte(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

pub(crate) fn stored(range: Range<u64>) -> LogRead {
    LogRead::Bytes(bytes(range).into())
}

pub(crate) fn gap(range: Range<u64>, reason: GapReason) -> LogRead {
    LogRead::Gap { range, reason }
}
