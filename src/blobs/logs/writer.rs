//! Writing one log. Each step leaves a log that is right by itself, so an error in the
//! next one has nothing to undo.

use std::{io, os::unix::fs::FileExt};

use super::{gap_file::GapFile, shape::State, stored::Stored, sync::Synced, times::TimeIndex};

/// What only the writer of a log knows.
pub(super) struct Writer {
    gaps: GapFile,
    times: TimeIndex,
    synced: Synced,
}

impl Writer {
    pub(super) fn new(gaps: GapFile, times: TimeIndex) -> Self {
        Self {
            gaps,
            times,
            synced: Synced::nothing(),
        }
    }

    /// Adds bytes from `start` on, which is not below the log's end; what lies between
    /// the two is a gap. The bytes came at `now`.
    pub(super) fn extend(
        &mut self,
        log: &Stored,
        start: u64,
        data: &[u8],
        now: i64,
    ) -> io::Result<()> {
        self.drop_until(log, start)?;
        let end = start.saturating_add(data.len() as u64);
        if start == end {
            return Ok(());
        }
        let between = |from: u64, to: u64| {
            let position = |offset| usize::try_from(offset - start).unwrap_or(usize::MAX);
            &data[position(from)..position(to)]
        };
        let of_head = log.layout.head().clamp(start, end);
        self.write(log, start, between(start, of_head))?;
        self.make_room(log, end)?;
        // What its own end would cut off again is not written at all.
        let rest = log.shape.lock().committed;
        self.write(log, rest, between(rest, end))?;
        // A time that cannot be written is left out: the bytes are what counts.
        let kept = log.layout.most_kept(end);
        let _ = self.times.note(&log.directory, start, now, kept);
        Ok(())
    }

    /// Brings all bytes to stable storage and returns the log's size.
    pub(super) fn sync(&mut self, log: &Stored) -> io::Result<u64> {
        let (committed, segments) = {
            let shape = log.shape.lock();
            if shape.state == State::Expired || shape.committed == 0 {
                return Ok(shape.committed);
            }
            (shape.committed, shape.segments_from(self.synced.up_to))
        };
        self.synced
            .sync(&log.directory, &segments, &mut self.gaps)?;
        self.synced.up_to = committed;
        Ok(committed)
    }

    fn drop_until(&mut self, log: &Stored, start: u64) -> io::Result<()> {
        let committed = log.shape.lock().committed;
        if start == committed {
            return Ok(());
        }
        self.synced.has_new_names = true;
        self.gaps.dropped(&log.directory, &(committed..start))?;
        let merged = log.shape.lock().drop_until(start);
        log.remove(&merged);
        if self.gaps.is_too_long() {
            let known = log.shape.lock().gaps();
            self.gaps.rewrite(&log.directory, &known)?;
        }
        Ok(())
    }

    /// Cuts what a log of `size` bytes has no room for.
    fn make_room(&mut self, log: &Stored, size: u64) -> io::Result<()> {
        let Some(cut) = log.shape.lock().next_cut(log.layout, size) else {
            return Ok(());
        };
        self.synced.has_new_names = true;
        self.gaps.cut(&log.directory, &cut)?;
        let removed = log.shape.lock().cut(cut);
        log.remove(&removed);
        Ok(())
    }

    /// Writes bytes at the log's end, to as many segments as they need.
    fn write(&mut self, log: &Stored, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let room = log.layout.segment_end(offset) - offset;
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let (now, later) = data.split_at(data.len().min(room));
            self.write_to_segment(log, offset, now)?;
            offset += now.len() as u64;
            data = later;
        }
        Ok(())
    }

    fn write_to_segment(&mut self, log: &Stored, offset: u64, data: &[u8]) -> io::Result<()> {
        let (segment, file) = log.open_to_write(offset)?;
        let position = offset - segment;
        self.synced.has_new_names |= position == 0;
        if let Err(error) = file.write_all_at(data, position) {
            // If this fails too, the next process finds a part of the data: right bytes,
            // but more than anybody was told of.
            let _ = file.set_len(position);
            return Err(error);
        }
        log.commit(segment, offset + data.len() as u64);
        Ok(())
    }
}
