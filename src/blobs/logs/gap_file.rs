//! Why bytes of a log are missing, for the next process: one small file a log, which is
//! there only if a log has gaps.
//!
//! The first record is the range that was cut at the log's limit and is overwritten in
//! place; each further one is a range that the runner dropped. A record is two u64,
//! little-endian: start and end. An empty range means nothing, and so do the bytes of a
//! record that is not complete.

use std::{
    fs, io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    directory::RunDirectory,
    gaps::{Gaps, MOST},
};

const RECORD: usize = 16;
/// Records of dropped ranges before the file is written anew with what is still true.
const MOST_RECORDS: u64 = 2 * MOST as u64;

/// How far the file has been written.
#[derive(Debug, Default)]
pub(super) struct GapFile {
    records: u64,
    /// Written since the last sync.
    pub(super) is_dirty: bool,
}

/// What the file of an earlier process says.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) file: GapFile,
    pub(super) cut: Range<u64>,
    pub(super) dropped: Gaps,
}

impl GapFile {
    /// Records what was cut, before the bytes are removed.
    pub(super) fn cut(&mut self, directory: &RunDirectory, cut: &Range<u64>) -> io::Result<()> {
        self.write(directory, &encode(cut), 0)
    }

    /// Records a dropped range, before any later byte is written.
    pub(super) fn dropped(&mut self, directory: &RunDirectory, gap: &Range<u64>) -> io::Result<()> {
        let position = (1 + self.records) * RECORD as u64;
        self.write(directory, &encode(gap), position)?;
        self.records += 1;
        Ok(())
    }

    /// Whether it has grown much longer than what there is to say.
    pub(super) fn is_too_long(&self) -> bool {
        self.records >= MOST_RECORDS
    }

    /// Writes the file anew: what was cut, and then what was dropped.
    pub(super) fn rewrite(
        &mut self,
        directory: &RunDirectory,
        ranges: &[Range<u64>],
    ) -> io::Result<()> {
        let bytes: Vec<u8> = ranges.iter().flat_map(encode).collect();
        directory.replace(&path(directory), &bytes)?;
        self.records = ranges.len().saturating_sub(1) as u64;
        self.is_dirty = true;
        Ok(())
    }

    fn write(&mut self, directory: &RunDirectory, bytes: &[u8], at: u64) -> io::Result<()> {
        let file = directory.open_to_write(&path(directory))?;
        self.is_dirty = true;
        file.write_all_at(bytes, at)
    }
}

/// Where the file is.
pub(super) fn path(directory: &RunDirectory) -> PathBuf {
    directory.path().join("gaps")
}

/// Reads what an earlier process has recorded.
pub(super) fn load(path: &Path) -> io::Result<Recorded> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recorded::default()),
        bytes => bytes?,
    };
    let mut ranges = bytes.as_chunks::<RECORD>().0.iter().map(decode);
    let cut = ranges.next().unwrap_or_default();
    let mut recorded = Recorded {
        cut,
        ..Recorded::default()
    };
    recorded.file.is_dirty = true;
    for gap in ranges {
        recorded.file.records += 1;
        // As when it was written, except that no bytes are given up a second time.
        let _ = recorded.dropped.push(gap);
    }
    Ok(recorded)
}

fn encode(range: &Range<u64>) -> [u8; RECORD] {
    (u128::from(range.end) << 64 | u128::from(range.start)).to_le_bytes()
}

fn decode(record: &[u8; RECORD]) -> Range<u64> {
    let both = u128::from_le_bytes(*record);
    both as u64..(both >> 64) as u64
}
