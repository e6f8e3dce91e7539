//! What is known of a log besides its bytes.

use std::ops::Range;

use super::{GapReason, gaps::Gaps, layout::Layout};

/// What a log has and has not.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Everything below is stored, or is a gap.
    pub(super) committed: u64,
    /// The ring has no byte below this offset any more, or will have none in a moment.
    kept_from: u64,
    gaps: Gaps,
    pub(super) state: State,
    /// Bytes in the files.
    pub(super) on_disk: u64,
    written: [u64; 2],
}

/// What may be done with a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// It is written to.
    #[default]
    Open,
    /// Nothing comes any more; in the order of their ends, logs expire.
    Ended(u64),
    /// The files are gone.
    Expired,
}

/// What is to be found at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Bytes up to this offset, in one or more runs.
    Bytes(u64),
    Gap(Range<u64>, GapReason),
    End,
}

impl Shape {
    /// What comes at `offset` and reaches no further than `until`.
    pub(super) fn find(&self, layout: Layout, offset: u64, until: u64) -> Found {
        if self.state == State::Expired {
            return gap(offset..until, GapReason::Expired);
        }
        let until = until.min(self.committed);
        if offset >= until {
            return Found::End;
        }
        if (layout.head..self.kept_from).contains(&offset) {
            return gap(offset..until.min(self.kept_from), GapReason::SizeLimit);
        }
        match self.gaps.next(offset) {
            Some(next) if next.start <= offset => {
                gap(offset..until.min(next.end), GapReason::RunnerDropped)
            }
            Some(next) => Found::Bytes(until.min(next.start)),
            None => Found::Bytes(until),
        }
    }

    /// Gives up what a log of `size` bytes has no room for. Has to be known to readers
    /// before anything is overwritten.
    pub(super) fn retire(&mut self, layout: Layout, size: u64) {
        self.kept_from = self.kept_from.max(layout.oldest_in_ring(size));
        self.gaps.forget(layout.head..self.kept_from);
    }

    /// Takes in bytes from `start` to `end` that were written; what lies between the
    /// log's end and `start` is a gap. Answers by how much the files have grown.
    pub(super) fn commit(&mut self, layout: Layout, start: u64, end: u64) -> u64 {
        self.gaps.push(self.committed..start);
        self.gaps.forget(layout.head..self.kept_from);
        self.committed = end;
        let to_head = end.min(layout.head).saturating_sub(start);
        self.written[0] += to_head;
        self.written[1] += end - start - to_head;
        let before = self.on_disk;
        self.on_disk = layout.on_disk(self.written[0], self.written[1]);
        self.on_disk - before
    }
}

/// Nothing is missing where nothing was asked for.
fn gap(range: Range<u64>, reason: GapReason) -> Found {
    match range.is_empty() {
        true => Found::End,
        false => Found::Gap(range, reason),
    }
}
