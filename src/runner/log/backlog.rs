use std::collections::VecDeque;

use bytes::Bytes;

use crate::runner::LogAppend;

/// Most bytes that wait to be sent: 1 MiB.
pub(super) const MOST: usize = 1024 * 1024;

/// Output that was written and not yet sent.
///
/// Above the limit the oldest bytes are dropped: the end of a log says why a stage failed.
/// The missing bytes are then always one range, right before the remaining ones.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: VecDeque<u8>,
    /// Offset of the first byte.
    start: u64,
    /// Bytes dropped before the first one.
    dropped: u64,
}

impl Backlog {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.bytes.extend(data);
        let over = self.bytes.len().saturating_sub(MOST);
        self.bytes.drain(..over);
        self.start += over as u64;
        self.dropped += over as u64;
    }

    /// Takes out at most `most` of the oldest bytes.
    pub(super) fn take(&mut self, most: usize) -> LogAppend {
        let size = self.bytes.len().min(most);
        let data: Bytes = self.bytes.drain(..size).collect();
        let append = LogAppend {
            offset: self.start,
            dropped: std::mem::take(&mut self.dropped),
            data,
        };
        self.start += size as u64;
        append
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The offset behind the last byte: the size of the whole log.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}
