//! Makes sure that a log is stored: that its files exist and are on stable storage.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    path::Path,
};

use super::{
    directory::RunDirectory,
    gap_file::{self, GapFile},
};

/// How much of a log has been synced.
#[derive(Debug)]
pub(super) struct Synced {
    /// Every byte below is on stable storage.
    up_to: u64,
    /// A file was created since the directories were synced.
    pub(super) has_new_names: bool,
}

impl Synced {
    /// Nothing is known to be synced, not even what an earlier process wrote: it may still
    /// be only in the page cache.
    pub(super) fn nothing() -> Self {
        Self {
            up_to: 0,
            has_new_names: true,
        }
    }

    /// Syncs a segment, unless it was synced. After an error nothing of it is safe: the
    /// kernel may have discarded the bytes, and a second sync would report success.
    pub(super) fn segment(&self, directory: &RunDirectory, segment: &Range<u64>) -> io::Result<()> {
        if segment.end <= self.up_to {
            return Ok(());
        }
        sync_one(directory, &directory.segment(segment.start))
    }

    /// Syncs the gaps and, last, the names of all files. Times are not worth a sync.
    pub(super) fn names(&mut self, directory: &RunDirectory, gaps: &mut GapFile) -> io::Result<()> {
        if gaps.is_dirty {
            sync_one(directory, &gap_file::path(directory))?;
            gaps.is_dirty = false;
        }
        if self.has_new_names {
            // The directories of the run, the job and the root: each has the entry of the previous.
            for parent in directory.path().ancestors().take(3) {
                sync_one(directory, parent)?;
            }
            self.has_new_names = false;
        }
        Ok(())
    }

    /// All segments are on stable storage.
    pub(super) fn set_synced(&mut self, up_to: u64) {
        self.up_to = up_to;
    }
}

/// How many bytes the file of a segment has, found by name: bytes in a file that was removed
/// under the writer are lost.
pub(super) fn length(directory: &RunDirectory, segment: u64) -> io::Result<u64> {
    let metadata = fs::metadata(directory.segment(segment))?;
    Ok(metadata.len())
}

fn sync_one(directory: &RunDirectory, path: &Path) -> io::Result<()> {
    directory.disk().sync(&File::open(path)?)
}
