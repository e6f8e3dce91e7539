//! One log: two files, and what is known of them.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering, fence},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    AppendError, LogRead,
    layout::{Layout, Part},
    shape::{Found, Shape, State},
};

pub(super) struct Log {
    path: PathBuf,
    layout: Layout,
    /// Held during an append, and by who ends the log.
    appending: Mutex<()>,
    /// Held for a look at a time, never during input or output.
    shape: Mutex<Shape>,
    /// The files that are open for writing: none before the first byte, since a stage
    /// that writes nothing has no file, and none after the end.
    files: Mutex<[Option<Arc<File>>; 2]>,
    pub(super) size: watch::Sender<u64>,
    /// Bytes in the files of all logs.
    total: Arc<AtomicU64>,
}

impl Log {
    pub(super) fn new(path: PathBuf, layout: Layout, total: Arc<AtomicU64>) -> Self {
        Self {
            path,
            layout,
            appending: Mutex::default(),
            shape: Mutex::default(),
            files: Mutex::default(),
            size: watch::Sender::new(0),
            total,
        }
    }

    /// Appends; see [`super::FileLogs::append`]. Blocks.
    pub(super) fn append(
        &self,
        offset: u64,
        dropped: u64,
        data: &[u8],
    ) -> Result<u64, AppendError> {
        let _one_at_a_time = self.appending.lock();
        let committed = self.committed_if_open()?;
        if offset.saturating_sub(dropped) > committed {
            return Err(AppendError::Hole { committed });
        }
        let end = offset.saturating_add(data.len() as u64);
        if end <= committed {
            return Ok(committed);
        }
        let known = usize::try_from(committed.saturating_sub(offset)).unwrap_or(usize::MAX);
        let start = offset.max(committed);
        self.shape.lock().retire(self.layout, end);
        // Pairs with the fence in `read`: who sees a byte that is written from here
        // on sees then, too, that the byte before it is given up.
        fence(Ordering::SeqCst);
        self.write(start, &data[known..])?;
        let grown = self.shape.lock().commit(self.layout, start, end);
        self.total.fetch_add(grown, Ordering::Relaxed);
        // Readers are woken only once the bytes can be read.
        self.size.send_replace(end);
        Ok(end)
    }

    /// What there is at `offset`: bytes, at most `limit`, or a gap, neither of them
    /// further than `until`. Blocks.
    pub(super) fn read(&self, offset: u64, until: u64, limit: usize) -> io::Result<LogRead> {
        loop {
            let end = match self.find(offset, until) {
                Found::End => return Ok(LogRead::End),
                Found::Gap(range, reason) => return Ok(LogRead::Gap { range, reason }),
                Found::Bytes(end) => end,
            };
            let place = self.layout.place(offset);
            let wanted = usize::try_from(place.run.min(end - offset)).unwrap_or(usize::MAX);
            let mut buffer = vec![0; wanted.min(limit)];
            let read = self
                .open_to_read(place.part)
                .and_then(|file| file.read_exact_at(&mut buffer, place.position));
            fence(Ordering::SeqCst);
            // The writer may have come round, and the files may have gone: then these
            // are not the bytes of this offset, and the next look says so.
            if matches!(self.find(offset, until), Found::Bytes(_)) {
                return read.map(|()| LogRead::Bytes(Bytes::from(buffer)));
            }
        }
    }

    /// Nothing comes any more: gives back the files. False if it has ended before.
    /// Blocks while an append is under way.
    pub(super) fn end(&self, order: u64) -> bool {
        let _after_appends = self.appending.lock();
        let mut shape = self.shape.lock();
        let was_open = shape.state == State::Open;
        if was_open {
            shape.state = State::Ended(order);
        }
        *self.files.lock() = Default::default();
        was_open
    }

    /// Gives up all bytes; answers with the log's place among the ended ones. The files
    /// are still there. Blocks while an append is under way.
    pub(super) fn expire(&self) -> Option<u64> {
        let _after_appends = self.appending.lock();
        let mut shape = self.shape.lock();
        let order = match std::mem::replace(&mut shape.state, State::Expired) {
            State::Ended(order) => Some(order),
            State::Open | State::Expired => None,
        };
        *self.files.lock() = Default::default();
        self.total
            .fetch_sub(std::mem::take(&mut shape.on_disk), Ordering::Relaxed);
        order
    }

    /// Removes what an expired log has left.
    pub(super) fn remove_files(&self) -> io::Result<()> {
        for part in [Part::Head, Part::Tail] {
            match fs::remove_file(self.path(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn find(&self, offset: u64, until: u64) -> Found {
        self.shape.lock().find(self.layout, offset, until)
    }

    fn committed_if_open(&self) -> Result<u64, AppendError> {
        let shape = self.shape.lock();
        match shape.state {
            State::Open => Ok(shape.committed),
            State::Ended(_) | State::Expired => Err(AppendError::Ended),
        }
    }

    /// Writes what there is room for: the rest would be overwritten by its own end.
    fn write(&self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        let kept_from = self.layout.oldest_in_ring(offset + data.len() as u64);
        while !data.is_empty() {
            let place = self.layout.place(offset);
            let is_lost = place.part == Part::Tail && offset < kept_from;
            let run = if is_lost {
                kept_from - offset
            } else {
                place.run
            };
            let (now, later) =
                data.split_at(data.len().min(usize::try_from(run).unwrap_or(usize::MAX)));
            if !is_lost {
                self.open_to_write(place.part)?
                    .write_all_at(now, place.position)?;
            }
            offset += now.len() as u64;
            data = later;
        }
        Ok(())
    }

    fn open_to_write(&self, part: Part) -> io::Result<Arc<File>> {
        let file = &mut self.files.lock()[part as usize];
        if let Some(file) = file {
            return Ok(Arc::clone(file));
        }
        // What stages say is for those whom the service lets read it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.path.parent().unwrap_or(Path::new(".")))?;
        let opened = OpenOptions::new()
            .create(true)
            .mode(0o600)
            .truncate(false)
            .read(true)
            .write(true)
            .open(self.path(part))?;
        Ok(Arc::clone(file.insert(Arc::new(opened))))
    }

    /// The file, opened for this one use if nobody writes to it: the logs of kept
    /// jobs hold no descriptors.
    fn open_to_read(&self, part: Part) -> io::Result<Arc<File>> {
        match &self.files.lock()[part as usize] {
            Some(file) => Ok(Arc::clone(file)),
            None => File::open(self.path(part)).map(Arc::new),
        }
    }

    fn path(&self, part: Part) -> PathBuf {
        match part {
            Part::Head => self.path.clone(),
            Part::Tail => self.path.with_extension("tail"),
        }
    }
}
