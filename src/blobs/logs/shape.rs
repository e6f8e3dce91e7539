//! The metadata of a log.

use std::ops::Range;

use crate::domain::LogLoss;

use super::{
    GapReason,
    gaps::{Gap, Gaps},
    layout::Layout,
};

/// Which bytes a log has. The segments are authoritative: all other records only
/// give the reason why the bytes between them are missing.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Everything below is stored, or is a gap.
    pub(super) committed: u64,
    /// The bytes of each file, in order. A segment is known by its first offset.
    segments: Vec<Range<u64>>,
    /// The range that was given up because of the log's limit.
    cut: Range<u64>,
    /// The other missing ranges.
    gaps: Gaps,
    pub(super) state: State,
}

/// What may be done with a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// It is written to.
    #[default]
    Open,
    /// Left by an earlier process. May expire as if it had ended, in the order of these
    /// numbers, until an append opens it again.
    Found(u64),
    /// Closed; logs expire in the order of these numbers.
    Ended(u64),
    /// The files are gone.
    Expired,
}

/// What is to be found at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Bytes up to `end`, all in one segment.
    Bytes {
        segment: u64,
        end: u64,
    },
    Gap(Range<u64>, GapReason),
    End,
}

impl Shape {
    /// For a log with these segments, which are in order and not empty.
    pub(super) fn new(segments: Vec<Range<u64>>, cut: Range<u64>, gaps: Gaps) -> Self {
        let ends = [segments.last().map_or(0, |last| last.end), gaps.end()];
        let mut shape = Self {
            committed: ends.into_iter().fold(cut.end, u64::max),
            segments,
            cut,
            gaps,
            state: State::Open,
        };
        shape.gaps.forget(shape.cut.clone());
        shape
    }

    /// Finds what is at `offset`, up to `until` at most.
    pub(super) fn find(&self, offset: u64, until: u64) -> Found {
        if self.state == State::Expired {
            return gap(offset..until, GapReason::Expired);
        }
        let until = until.min(self.committed);
        if offset >= until {
            return Found::End;
        }
        let behind = self.segments.partition_point(|known| known.end <= offset);
        let next = self.segments.get(behind).cloned().unwrap_or(until..until);
        if next.start <= offset {
            let (segment, end) = (next.start, until.min(next.end));
            return Found::Bytes { segment, end };
        }
        let until = until.min(next.start);
        if self.cut.contains(&offset) {
            return gap(offset..until.min(self.cut.end), GapReason::SizeLimit);
        }
        let known = self.gaps.next(offset);
        if let Some(known) = known.filter(|known| known.range.start <= offset) {
            return gap(offset..until.min(known.range.end), known.reason);
        }
        // Why these bytes are missing was not recorded.
        let known = [known.map(|known| &known.range), Some(&self.cut)];
        let starts = known.into_iter().flatten().map(|gap| gap.start);
        let until = starts.filter(|start| *start > offset).fold(until, u64::min);
        gap(offset..until, GapReason::Expired)
    }

    /// The segment that takes the next byte, if there is one that is not full.
    pub(super) fn unfilled(&self, layout: Layout) -> Option<u64> {
        let last = self.segments.last()?;
        let is_unfilled = last.end == self.committed
            && layout.segment_end(last.start) == layout.segment_end(last.end);
        is_unfilled.then_some(last.start)
    }

    /// Records bytes that were written at the log's end, to one segment. Returns their
    /// number.
    pub(super) fn commit(&mut self, segment: u64, end: u64) -> u64 {
        match self.segments.last_mut() {
            Some(last) if last.start == segment => last.end = end,
            _ => self.segments.push(segment..end),
        }
        end - std::mem::replace(&mut self.committed, end)
    }

    /// Records a gap at the log's end. Returns the segments that are given up for it, if
    /// there are too many gaps.
    pub(super) fn extend(&mut self, gap: Gap) -> Vec<Range<u64>> {
        self.committed = self.committed.max(gap.range.end);
        let merged = self.gaps.insert(gap);
        merged.map_or_else(Vec::new, |between| self.take(&between))
    }

    /// Gives up the end of a segment, or all of it. Returns the segments that are given up
    /// besides, if there are too many gaps.
    pub(super) fn lose(&mut self, gap: Gap) -> Vec<Range<u64>> {
        for known in &mut self.segments {
            if known.contains(&gap.range.start) {
                known.end = gap.range.start;
            }
        }
        self.segments.retain(|known| !known.is_empty());
        self.extend(gap)
    }

    /// The range that has to be cut once the log has `size` bytes; none if it is unchanged.
    pub(super) fn next_cut(&self, layout: Layout, size: u64) -> Option<Range<u64>> {
        let mut cut = layout.cut(size);
        if cut.is_empty() || cut.end <= self.cut.end {
            return None;
        }
        if !self.cut.is_empty() {
            cut.start = cut.start.min(self.cut.start);
        }
        // Segments of an earlier limit may reach further than one of this limit.
        let taken = self
            .segments
            .iter()
            .filter(|known| cut.contains(&known.start));
        cut.end = taken.map(|known| known.end).fold(cut.end, u64::max);
        Some(cut)
    }

    /// Gives up a range, which may extend beyond the log's end. Returns its segments.
    pub(super) fn cut(&mut self, cut: Range<u64>) -> Vec<Range<u64>> {
        self.committed = self.committed.max(cut.end);
        self.gaps.forget(cut.clone());
        self.cut = cut.clone();
        self.take(&cut)
    }

    /// The bytes of each file, in order.
    pub(super) fn segments(&self) -> &[Range<u64>] {
        &self.segments
    }

    /// Gives up all bytes and returns how many.
    pub(super) fn clear(&mut self) -> u64 {
        let bytes = self.bytes();
        self.segments = Vec::new();
        bytes
    }

    /// Bytes in the files.
    pub(super) fn bytes(&self) -> u64 {
        length(&self.segments)
    }

    /// The range that was cut, which may be empty, and the other gaps.
    pub(super) fn gaps(&self) -> (Range<u64>, Vec<Gap>) {
        (self.cut.clone(), self.gaps.iter().cloned().collect())
    }

    pub(super) fn loss(&self) -> LogLoss {
        let mut loss = LogLoss {
            size_limit: self.cut.end - self.cut.start,
            ..LogLoss::default()
        };
        for Gap { range, reason } in self.gaps.iter() {
            let of_cut = range
                .end
                .min(self.cut.end)
                .saturating_sub(range.start.max(self.cut.start));
            let bytes = range.end - range.start - of_cut;
            match reason {
                GapReason::NotStored => loss.not_stored += bytes,
                GapReason::RunnerDropped => loss.runner_dropped += bytes,
                // Gaps with these reasons are not recorded here.
                GapReason::SizeLimit | GapReason::Expired => {}
            }
        }
        loss
    }

    fn take(&mut self, range: &Range<u64>) -> Vec<Range<u64>> {
        let is_taken = |known: &mut Range<u64>| range.contains(&known.start);
        self.segments.extract_if(.., is_taken).collect()
    }
}

pub(super) fn length(segments: &[Range<u64>]) -> u64 {
    segments.iter().map(|known| known.end - known.start).sum()
}

/// A gap, or the end if the range is empty.
fn gap(range: Range<u64>, reason: GapReason) -> Found {
    if range.is_empty() {
        Found::End
    } else {
        Found::Gap(range, reason)
    }
}
