//! Bringing a log to stable storage.

use std::{fs::File, io, path::Path};

use super::{
    directory::RunDirectory,
    gap_file::{self, GapFile},
};

/// What of a log has been synced.
#[derive(Debug)]
pub(super) struct Synced {
    /// Every byte below is on stable storage.
    pub(super) up_to: u64,
    /// A file was made since the directories were synced.
    pub(super) has_new_names: bool,
    has_failed: bool,
}

impl Synced {
    /// Nothing is known to be synced, not even what an earlier process wrote: it may still
    /// be only in the page cache.
    pub(super) fn nothing() -> Self {
        Self {
            up_to: 0,
            has_new_names: true,
            has_failed: false,
        }
    }

    /// Syncs these segments, the gaps and, last, the names of both. Times are not worth a
    /// sync. Files are opened by name: one that was removed under the writer is an error.
    pub(super) fn sync(
        &mut self,
        directory: &RunDirectory,
        segments: &[u64],
        gaps: &mut GapFile,
    ) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("an earlier sync of the log failed"));
        }
        for &start in segments {
            self.sync_one(&directory.segment(start))?;
        }
        if gaps.is_dirty {
            self.sync_one(&gap_file::path(directory))?;
            gaps.is_dirty = false;
        }
        if self.has_new_names {
            // The run's directory, the job's and the root: each has the name of the one before.
            for parent in directory.path().ancestors().take(3) {
                self.sync_one(parent)?;
            }
            self.has_new_names = false;
        }
        Ok(())
    }

    fn sync_one(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        file.sync_all().inspect_err(|_| self.has_failed = true)
    }
}
