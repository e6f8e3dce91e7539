//! One log, from its first append to its end.

use std::{
    fs, io,
    ops::Range,
    sync::{Arc, atomic::AtomicU64},
    time::SystemTime,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::domain::LogLoss;

use super::{
    AppendError, Durability, Kept, LogRead, WriteTime,
    directory::RunDirectory,
    gap_file::{self, GapFile},
    layout::Layout,
    shape::{Shape, State},
    stored::Stored,
    times::{self, TimeIndex},
    writer::Writer,
};

pub(super) struct Log {
    /// Locked during an append or a sync, and to end the log. Locked before any lock
    /// of `stored`.
    writer: Mutex<Writer>,
    stored: Stored,
    pub(super) size: watch::Sender<u64>,
}

impl Log {
    /// An empty log.
    pub(super) fn new(directory: RunDirectory, layout: Layout, total: Arc<AtomicU64>) -> Self {
        let writer = Writer::new(GapFile::default(), TimeIndex::new(0));
        let stored = Stored::new(directory, layout, Shape::default(), total);
        Self::with(stored, writer)
    }

    /// A log of an earlier process, and when that process last wrote to it. Only the
    /// names and lengths of its files are read.
    pub(super) fn load(
        directory: RunDirectory,
        layout: Layout,
        total: Arc<AtomicU64>,
    ) -> io::Result<(Self, SystemTime)> {
        let scan = directory.scan()?;
        let recorded = gap_file::load(&gap_file::path(&directory))?;
        let of_times = fs::metadata(times::path(&directory)).map_or(0, |known| known.len());
        let writer = Writer::new(recorded.file, TimeIndex::new(of_times));
        let shape = Shape::new(scan.segments, recorded.cut, recorded.gaps);
        let stored = Stored::new(directory, layout, shape, total);
        Ok((Self::with(stored, writer), scan.newest))
    }

    fn with(stored: Stored, writer: Writer) -> Self {
        let size = watch::Sender::new(stored.shape.lock().committed);
        Self {
            writer: Mutex::new(writer),
            stored,
            size,
        }
    }

    /// Appends bytes that arrived at `now`; see [`super::LogStore::append`]. Blocks.
    pub(super) fn append(
        &self,
        offset: u64,
        dropped: u64,
        data: &[u8],
        now: i64,
    ) -> Result<Kept, AppendError> {
        let mut writer = self.writer.lock();
        let committed = self.committed_if_open()?;
        if offset.saturating_sub(dropped) > committed {
            return Err(AppendError::Hole { committed });
        }
        if offset.saturating_add(data.len() as u64) <= committed {
            return Ok(Kept::all(committed));
        }
        let known = usize::try_from(committed.saturating_sub(offset)).unwrap_or(usize::MAX);
        let start = offset.max(committed);
        let lost = writer.extend(&self.stored, start, &data[known..], now);
        // Readers are notified only once the bytes can be read.
        let size = self.stored.shape.lock().committed;
        self.size
            .send_if_modified(|known| std::mem::replace(known, size) != size);
        Ok(Kept { size, lost })
    }

    /// See [`Stored::read`].
    pub(super) fn read(&self, offset: u64, until: u64, limit: usize) -> io::Result<LogRead> {
        self.stored.read(offset, until, limit)
    }

    /// When the bytes of a range were written. Blocks.
    pub(super) fn times(&self, range: Range<u64>) -> io::Result<Vec<WriteTime>> {
        times::read(&self.stored.directory, range)
    }

    /// Makes sure that all bytes are stored; see [`super::LogStore::sync`]. Blocks.
    pub(super) fn sync(&self, durability: Durability) -> Kept {
        let mut writer = self.writer.lock();
        let lost = writer.sync(&self.stored, durability);
        let size = self.stored.shape.lock().committed;
        Kept { size, lost }
    }

    pub(super) fn loss(&self) -> LogLoss {
        self.stored.shape.lock().loss()
    }

    /// Marks a log that was loaded: it may expire until it is written to.
    pub(super) fn set_found(&self, order: u64) {
        self.stored.shape.lock().state = State::Found(order);
    }

    /// Opens a log that was loaded; returns its place among those that may expire.
    pub(super) fn resume(&self) -> Option<u64> {
        let mut shape = self.stored.shape.lock();
        let State::Found(order) = shape.state else {
            return None;
        };
        shape.state = State::Open;
        Some(order)
    }

    /// Ends the log and closes the file. False if it was not open. Blocks while an
    /// append is under way.
    pub(super) fn end(&self, order: u64) -> bool {
        let _after_appends = self.writer.lock();
        let mut shape = self.stored.shape.lock();
        let was_open = shape.state == State::Open;
        if was_open {
            shape.state = State::Ended(order);
        }
        self.stored.close();
        was_open
    }

    /// Gives up all bytes if the log still has this place among those that may expire. The
    /// files are still there. Blocks while an append is under way.
    pub(super) fn expire(&self, order: u64) -> bool {
        let _after_appends = self.writer.lock();
        let mut shape = self.stored.shape.lock();
        let is_due = [State::Found(order), State::Ended(order)].contains(&shape.state);
        if is_due {
            self.stored.give_up(&mut shape);
        }
        is_due
    }

    /// Gives up all bytes in any case; returns the place among those that may expire. The
    /// files are still there. Blocks while an append is under way.
    pub(super) fn forget(&self) -> Option<u64> {
        let _after_appends = self.writer.lock();
        match self.stored.give_up(&mut self.stored.shape.lock()) {
            State::Found(order) | State::Ended(order) => Some(order),
            State::Open | State::Expired => None,
        }
    }

    /// Removes the files of an expired log.
    pub(super) fn remove_files(&self) -> io::Result<()> {
        self.stored.directory.remove()
    }

    fn committed_if_open(&self) -> Result<u64, AppendError> {
        let shape = self.stored.shape.lock();
        match shape.state {
            State::Open => Ok(shape.committed),
            State::Found(_) | State::Ended(_) | State::Expired => Err(AppendError::Ended),
        }
    }
}
