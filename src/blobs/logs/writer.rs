//! Writing one log. Each step leaves a consistent log, so an error in the next one has
//! nothing to undo. Bytes that cannot be stored become a gap, so that the log, and the
//! stage that writes it, can continue.

use std::{io, ops::Range};

use super::{
    Durability, GapReason,
    disk::write_all_at,
    gap_file::GapFile,
    gaps::Gap,
    lost::{Losses, Lost},
    shape::State,
    stored::Stored,
    sync::{self, Synced},
    times::TimeIndex,
};

/// The state that only the writer of a log needs.
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

    /// Adds bytes from `start` on, which is not below the log's end; the range between
    /// the two is a gap. The bytes arrived at `now`. Returns the bytes that could not be stored.
    pub(super) fn extend(
        &mut self,
        log: &Stored,
        start: u64,
        data: &[u8],
        now: i64,
    ) -> Option<Lost> {
        let mut losses = Losses::default();
        self.skip(log, start, GapReason::RunnerDropped);
        let end = start.saturating_add(data.len() as u64);
        if start < end {
            let between = |from: u64, to: u64| {
                let position = |offset| usize::try_from(offset - start).unwrap_or(usize::MAX);
                &data[position(from)..position(to)]
            };
            let of_head = log.layout.head().clamp(start, end);
            self.write_or_skip(log, start, between(start, of_head), &mut losses);
            self.make_room(log, end);
            // Bytes that the log's limit would cut again immediately are not written at all.
            let rest = log.shape.lock().committed;
            self.write_or_skip(log, rest, between(rest, end), &mut losses);
            // A time that cannot be written is left out: the bytes matter more.
            let kept = log.layout.most_kept(end);
            let _ = self.times.note(&log.directory, start, now, kept);
        }
        self.record_gaps(log);
        losses.into_lost()
    }

    /// Makes sure that the files exist and, for [`Durability::Disk`], are on stable storage.
    /// Returns the bytes for which that is not so.
    pub(super) fn sync(&mut self, log: &Stored, durability: Durability) -> Option<Lost> {
        let mut losses = Losses::default();
        let (committed, segments) = {
            let shape = log.shape.lock();
            if shape.state == State::Expired {
                return None;
            }
            (shape.committed, shape.segments().to_vec())
        };
        for segment in segments {
            self.keep_or_lose(log, &segment, durability, &mut losses);
        }
        self.record_gaps(log);
        if durability == Durability::Disk && committed > 0 {
            let directory = &log.directory;
            if let Err(error) = self.synced.names(directory, &mut self.gaps) {
                // The bytes are in the files, as far as is known. After a crash they may
                // turn out to be missing.
                losses.add(0, error, directory.disk(), directory.path());
            }
            self.synced.set_synced(committed);
        }
        losses.into_lost()
    }

    /// Adds a gap from the log's end to `until`.
    fn skip(&mut self, log: &Stored, until: u64, reason: GapReason) {
        let committed = log.shape.lock().committed;
        if committed < until {
            let range = committed..until;
            let gap = Gap { range, reason };
            self.synced.has_new_names = true;
            self.gaps.add(&log.directory, &gap);
            let merged = log.shape.lock().extend(gap);
            log.remove(&merged);
        }
    }

    /// Cuts the log to its limit for a size of `size` bytes.
    fn make_room(&mut self, log: &Stored, size: u64) {
        let Some(cut) = log.shape.lock().next_cut(log.layout, size) else {
            return;
        };
        self.synced.has_new_names = true;
        self.gaps.cut(&log.directory, &cut);
        let removed = log.shape.lock().cut(cut);
        log.remove(&removed);
    }

    /// Writes bytes at the log's end, as many as fit. The others become a gap.
    fn write_or_skip(&mut self, log: &Stored, offset: u64, data: &[u8], losses: &mut Losses) {
        let Err(error) = self.write(log, offset, data) else {
            return;
        };
        let end = offset.saturating_add(data.len() as u64);
        let lost = end - log.shape.lock().committed;
        let directory = &log.directory;
        losses.add(lost, error, directory.disk(), directory.path());
        self.skip(log, end, GapReason::NotStored);
    }

    /// Writes bytes at the log's end, to as many segments as they need. After an error the
    /// log's end shows how many were written.
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
        let (written, result) = write_all_at(log.directory.disk(), &file, data, position);
        if written > 0 {
            log.commit(segment, offset + written as u64);
        } else if position == 0 {
            log.abandon(segment);
        }
        result
    }

    fn keep_or_lose(
        &mut self,
        log: &Stored,
        segment: &Range<u64>,
        durability: Durability,
        losses: &mut Losses,
    ) {
        let directory = &log.directory;
        let length = sync::length(directory, segment.start).and_then(|length| {
            if durability == Durability::Disk {
                self.synced.segment(directory, segment)?;
            }
            Ok(length)
        });
        let (kept, error) = match length {
            Ok(length) => (length, io::ErrorKind::UnexpectedEof.into()),
            Err(error) => (0, error),
        };
        let kept = segment.start.saturating_add(kept);
        if kept >= segment.end {
            return;
        }
        let range = kept..segment.end;
        losses.add(
            range.end - range.start,
            error,
            directory.disk(),
            directory.path(),
        );
        let reason = GapReason::NotStored;
        let gap = Gap { range, reason };
        self.gaps.add(directory, &gap);
        log.lose(segment, gap);
    }

    /// Records what could not be recorded before.
    fn record_gaps(&mut self, log: &Stored) {
        if self.gaps.is_stale() {
            let (cut, gaps) = log.shape.lock().gaps();
            self.synced.has_new_names = true;
            self.gaps.rewrite(&log.directory, &cut, &gaps);
        }
    }
}
