//! The stored bytes of one log, shared by its writer and its readers.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    GapReason, LogRead,
    directory::RunDirectory,
    gaps::Gap,
    layout::Layout,
    shape::{self, Found, Shape, State},
};

pub(super) struct Stored {
    pub(super) directory: RunDirectory,
    pub(super) layout: Layout,
    /// Locked for short accesses only, never during input or output.
    pub(super) shape: Mutex<Shape>,
    /// The segment that is written to: none before the first byte and after the end.
    current: Mutex<Option<(u64, Arc<File>)>>,
    /// Bytes in the segments of all logs.
    total: Arc<AtomicU64>,
}

impl Stored {
    /// Counts the bytes of the shape.
    pub(super) fn new(
        directory: RunDirectory,
        layout: Layout,
        shape: Shape,
        total: Arc<AtomicU64>,
    ) -> Self {
        total.fetch_add(shape.bytes(), Ordering::Relaxed);
        Self {
            directory,
            layout,
            shape: Mutex::new(shape),
            current: Mutex::default(),
            total,
        }
    }

    /// Reads at `offset`: at most `limit` bytes, or a gap, neither of them
    /// beyond `until`. Blocks.
    pub(super) fn read(&self, offset: u64, until: u64, limit: usize) -> io::Result<LogRead> {
        loop {
            let (segment, end) = match self.find(offset, until) {
                Found::End => return Ok(LogRead::End),
                Found::Gap(range, reason) => return Ok(LogRead::Gap { range, reason }),
                Found::Bytes { segment, end } => (segment, end),
            };
            let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let mut buffer = vec![0; wanted.min(limit)];
            let read = self
                .open_to_read(segment)
                .and_then(|file| read_at(&file, &mut buffer, offset - segment));
            // The segment, or the whole log, may have been removed meanwhile, and another
            // one may have taken its place: the next lookup shows it.
            if !matches!(self.find(offset, until), Found::Bytes { .. }) {
                continue;
            }
            return match read {
                Ok(read) if read > 0 => {
                    buffer.truncate(read);
                    Ok(LogRead::Bytes(Bytes::from(buffer)))
                }
                Err(error) if !is_gone(&error) => Err(error),
                // Another process has removed or truncated the file.
                Ok(_) | Err(_) => Ok(LogRead::Gap {
                    range: offset..end,
                    reason: GapReason::NotStored,
                }),
            };
        }
    }

    /// The segment that takes the bytes at `offset`, the log's end, with its first offset.
    /// For the writer alone.
    pub(super) fn open_to_write(&self, offset: u64) -> io::Result<(u64, Arc<File>)> {
        let unfilled = self.shape.lock().unfilled(self.layout);
        let mut current = self.current.lock();
        if let Some((start, file)) = &*current
            && Some(*start) == unfilled
            // Bytes written to a removed file are lost.
            && file.metadata()?.nlink() > 0
        {
            return Ok((*start, Arc::clone(file)));
        }
        // Closed first: no log ever has two descriptors.
        *current = None;
        let (start, file) = match unfilled {
            Some(start) => self.open_to_continue(start, offset)?,
            None => None,
        }
        .map_or_else(|| self.create(offset), Ok)?;
        let file = Arc::new(file);
        *current = Some((start, Arc::clone(&file)));
        Ok((start, file))
    }

    /// Records bytes that were written at the log's end.
    pub(super) fn commit(&self, segment: u64, end: u64) {
        let grown = self.shape.lock().commit(segment, end);
        self.total.fetch_add(grown, Ordering::Relaxed);
    }

    /// Removes segments that the shape has given up. A file that cannot be removed goes with
    /// its job.
    pub(super) fn remove(&self, segments: &[Range<u64>]) {
        let bytes = shape::length(segments);
        self.total.fetch_sub(bytes, Ordering::Relaxed);
        for segment in segments {
            if let Err(error) = fs::remove_file(self.directory.segment(segment.start))
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "a segment of a log is left behind");
            }
        }
    }

    /// Gives up the end of a segment that is not stored any more, or all of it. The rest
    /// of its file is not read again.
    pub(super) fn lose(&self, segment: &Range<u64>, gap: Gap) {
        self.close();
        let is_all = gap.range.start <= segment.start;
        let (lost, merged) = {
            let mut shape = self.shape.lock();
            let before = shape.bytes();
            let merged = shape.lose(gap);
            (before - shape.bytes() - shape::length(&merged), merged)
        };
        self.total.fetch_sub(lost, Ordering::Relaxed);
        self.remove(&merged);
        if is_all {
            let _ = fs::remove_file(self.directory.segment(segment.start));
        }
    }

    /// Removes a segment that was created, and to which nothing could be written.
    pub(super) fn abandon(&self, segment: u64) {
        self.close();
        let _ = fs::remove_file(self.directory.segment(segment));
    }

    /// Closes the segment that is written to.
    pub(super) fn close(&self) {
        *self.current.lock() = None;
    }

    /// Gives up all bytes, and returns the previous state. The files still exist.
    pub(super) fn give_up(&self, shape: &mut Shape) -> State {
        self.close();
        self.total.fetch_sub(shape.clear(), Ordering::Relaxed);
        std::mem::replace(&mut shape.state, State::Expired)
    }

    fn find(&self, offset: u64, until: u64) -> Found {
        self.shape.lock().find(offset, until)
    }

    /// None if the file has changed: a write at the log's end would then leave zeros for
    /// the bytes that were lost.
    fn open_to_continue(&self, start: u64, offset: u64) -> io::Result<Option<(u64, File)>> {
        let path = self.directory.segment(start);
        let mut options = File::options();
        let file = match self
            .directory
            .disk()
            .open(options.read(true).write(true), &path)
        {
            Err(error) if is_gone(&error) => return Ok(None),
            opened => opened?,
        };
        let is_whole = file.metadata()?.len() >= offset - start;
        Ok(is_whole.then_some((start, file)))
    }

    /// Truncates the file: an earlier process may have left bytes in it.
    fn create(&self, offset: u64) -> io::Result<(u64, File)> {
        let file = self.directory.create(&self.directory.segment(offset))?;
        Ok((offset, file))
    }

    /// The segment, opened for this one use if it is not the one being written: the logs
    /// of kept jobs hold no descriptors.
    fn open_to_read(&self, segment: u64) -> io::Result<Arc<File>> {
        if let Some((start, file)) = &*self.current.lock()
            && *start == segment
        {
            return Ok(Arc::clone(file));
        }
        File::open(self.directory.segment(segment)).map(Arc::new)
    }
}

/// Whether the file or the directory that it was in has been removed.
pub(super) fn is_gone(error: &io::Error) -> bool {
    [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind())
}

/// Fills the buffer as far as the file reaches.
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], position + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
