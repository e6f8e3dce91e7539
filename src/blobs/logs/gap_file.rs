//! Records why bytes of a log are missing, for the next process: one small file per log,
//! which exists only if the log has gaps.
//!
//! The first record is the range that was cut at the log's limit and is overwritten in
//! place; each further one is another gap. A record is two u64, little-endian: start and
//! end. The highest bit of the start is set if the bytes could not be stored, and not if the
//! runner dropped them. An empty range means nothing, and so do the bytes of a record that
//! is not complete.
//!
//! If the disk refuses the log, it refuses this file, too. The file is then behind the state in
//! memory until it can be written: a gap without a record has no reason after a restart, but is
//! still a gap.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    GapReason,
    directory::RunDirectory,
    disk,
    gaps::{Gap, Gaps, MOST},
};

const RECORD: usize = 16;
/// Records of gaps before the file is rewritten with those that are still current.
const MOST_RECORDS: u64 = 2 * MOST as u64;
const NOT_STORED: u64 = 1 << 63;

/// How far the file has been written.
#[derive(Debug, Default)]
pub(super) struct GapFile {
    records: u64,
    /// The last record, if it may grow.
    last: Option<Gap>,
    /// Written since the last sync.
    pub(super) is_dirty: bool,
    /// It lacks records that are known in memory.
    is_behind: bool,
}

/// The records of an earlier process.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) file: GapFile,
    pub(super) cut: Range<u64>,
    pub(super) gaps: Gaps,
}

impl GapFile {
    /// Records the range that was cut, before the bytes are removed.
    pub(super) fn cut(&mut self, directory: &RunDirectory, cut: &Range<u64>) {
        self.write(directory, &encode(cut), 0);
    }

    /// Records another gap, before any later byte is written.
    pub(super) fn add(&mut self, directory: &RunDirectory, gap: &Gap) {
        let (record, gap) = match &self.last {
            Some(last) if last.continues_as(gap) => {
                let range = last.range.start..gap.range.end;
                let reason = gap.reason;
                (self.records, Gap { range, reason })
            }
            _ => (self.records + 1, gap.clone()),
        };
        if self.write(directory, &encode_gap(&gap), record * RECORD as u64) {
            self.records = record;
            self.last = Some(gap);
        }
    }

    /// Whether it has to be rewritten: it lacks records, or is much longer than
    /// necessary.
    pub(super) fn is_stale(&self) -> bool {
        self.is_behind || self.records >= MOST_RECORDS
    }

    /// Rewrites the file, if the disk allows it: the range that was cut, then the other gaps.
    pub(super) fn rewrite(&mut self, directory: &RunDirectory, cut: &Range<u64>, gaps: &[Gap]) {
        let gaps_after_cut = gaps.iter().flat_map(encode_gap);
        let bytes: Vec<u8> = encode(cut).into_iter().chain(gaps_after_cut).collect();
        self.is_behind = directory.replace(&path(directory), &bytes).is_err();
        if !self.is_behind {
            self.records = gaps.len() as u64;
            self.last = gaps.last().cloned();
            self.is_dirty = true;
        }
    }

    /// Returns whether it was written.
    fn write(&mut self, directory: &RunDirectory, bytes: &[u8], at: u64) -> bool {
        let opened = directory.open_to_write(&path(directory));
        let written = opened.and_then(|file| {
            self.is_dirty = true;
            disk::write_all_at(directory.disk(), &file, bytes, at).1
        });
        self.is_behind |= written.is_err();
        written.is_ok()
    }
}

pub(super) fn path(directory: &RunDirectory) -> PathBuf {
    directory.path().join("gaps")
}

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
    for range in ranges {
        recorded.file.records += 1;
        // As when it was written, but no bytes are given up a second time.
        let _ = recorded.gaps.insert(decode_gap(range));
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

fn encode_gap(gap: &Gap) -> [u8; RECORD] {
    // Offsets have 63 bits.
    let mark = if gap.reason == GapReason::NotStored {
        NOT_STORED
    } else {
        0
    };
    encode(&(gap.range.start | mark..gap.range.end))
}

fn decode_gap(range: Range<u64>) -> Gap {
    let reason = if range.start & NOT_STORED == 0 {
        GapReason::RunnerDropped
    } else {
        GapReason::NotStored
    };
    let range = range.start & !NOT_STORED..range.end;
    Gap { range, reason }
}
