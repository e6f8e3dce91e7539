//! The times at which bytes of a log were written: one small file per log, of records of fixed
//! size: the offset of the first byte of a write (u64) and the time of the write in microseconds
//! since the epoch (i64), both little-endian.

use std::{
    fs, io,
    ops::Range,
    os::unix::fs::FileExt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{WriteTime, directory::RunDirectory};

const RECORD: usize = 16;
/// Microseconds between two records of a log, at least.
const INTERVAL: i64 = 100_000;
/// Records that any log may have: 64 KiB.
const FLOOR: u64 = 4_096;
/// Bytes kept of a log for each further record.
const BYTES_PER_RECORD: u64 = 4_096;

/// How far the file has been written.
#[derive(Debug)]
pub(super) struct TimeIndex {
    records: u64,
    last: Option<i64>,
    /// Doubled whenever there are too many records.
    interval: i64,
}

impl TimeIndex {
    /// For a log whose time file has this many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            // An incomplete last record is overwritten.
            records: bytes / RECORD as u64,
            last: None,
            interval: INTERVAL,
        }
    }

    /// Records that the bytes from `offset` on arrived at `now`, unless the last record is so
    /// recent that it covers them, too. `kept` bounds the file: one record for each
    /// 4 KiB of it in addition to the first 4,096.
    pub(super) fn note(
        &mut self,
        directory: &RunDirectory,
        offset: u64,
        now: i64,
        kept: u64,
    ) -> io::Result<()> {
        let is_covered = |last: i64| now.abs_diff(last) < self.interval.unsigned_abs();
        if self.last.is_some_and(is_covered) {
            return Ok(());
        }
        if self.records >= FLOOR + kept / BYTES_PER_RECORD {
            self.thin_out(directory)?;
        }
        let record = (u128::from(now.cast_unsigned()) << 64 | u128::from(offset)).to_le_bytes();
        let file = directory.open_to_write(&path(directory))?;
        file.write_all_at(&record, self.records * RECORD as u64)?;
        self.records += 1;
        self.last = Some(now);
        Ok(())
    }

    /// Keeps every second record, so that a long log has coarse times rather than none at
    /// its end.
    fn thin_out(&mut self, directory: &RunDirectory) -> io::Result<()> {
        let bytes = fs::read(path(directory))?;
        let records = bytes.as_chunks::<RECORD>().0;
        let kept = records.iter().step_by(2).flatten().copied();
        let kept: Vec<u8> = kept.collect();
        directory.replace(&path(directory), &kept)?;
        self.records = (kept.len() / RECORD) as u64;
        self.interval = self.interval.saturating_mul(2);
        Ok(())
    }
}

pub(super) fn path(directory: &RunDirectory) -> PathBuf {
    directory.path().join("times")
}

/// Reads the records of a range, and the one before it that covers its start.
pub(super) fn read(directory: &RunDirectory, range: Range<u64>) -> io::Result<Vec<WriteTime>> {
    let bytes = match fs::read(path(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let mut times: Vec<WriteTime> = Vec::new();
    for record in bytes.as_chunks::<RECORD>().0 {
        let both = u128::from_le_bytes(*record);
        let (offset, micros) = (both as u64, ((both >> 64) as u64).cast_signed());
        if offset >= range.end {
            break;
        }
        if offset <= range.start {
            times.clear();
        }
        // Offsets grow; a record that does not was torn by a crash.
        if times.last().is_none_or(|last| last.offset < offset) {
            let time = time(micros);
            times.push(WriteTime { offset, time });
        }
    }
    Ok(times)
}

/// Microseconds since the epoch, negative before it.
pub(super) fn micros(time: SystemTime) -> i64 {
    let whole = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
