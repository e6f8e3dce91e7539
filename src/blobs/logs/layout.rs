//! Where a log is cut into segments, and how much of it is kept.

use std::ops::Range;

/// Most bytes of a segment: 1 MiB.
const SEGMENT: u64 = 1 << 20;

/// Follows from the limit of a log alone. Offsets are those of the whole log, and the
/// bounds of the segments depend on nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    limit: u64,
    head: u64,
    /// Most bytes that are kept after the head, at least 1.
    tail: u64,
    /// Bytes of a full segment, at least 1.
    segment: u64,
}

impl Layout {
    /// For a log of at most `limit` bytes, half of them for each part. A segment is an
    /// eighth of a small limit, so that an eviction removes little more than necessary.
    pub(super) fn new(limit: u64) -> Self {
        let tail = (limit / 2).max(1);
        Self {
            limit,
            head: limit.saturating_sub(tail),
            tail,
            segment: (limit / 8).clamp(1, SEGMENT),
        }
    }

    /// Bytes at the start that are always kept.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// The end of the segment that has the byte at `offset`. No segment is partly head
    /// and partly tail.
    pub(super) fn segment_end(&self, offset: u64) -> u64 {
        let end = |position: u64| (position / self.segment + 1).saturating_mul(self.segment);
        if offset < self.head {
            end(offset).min(self.head)
        } else {
            self.head.saturating_add(end(offset - self.head))
        }
    }

    /// The range that a log of this size has to give up: whole segments after the head. Empty
    /// for a log within its limit.
    pub(super) fn cut(&self, size: u64) -> Range<u64> {
        let over = size.saturating_sub(self.head).saturating_sub(self.tail);
        self.head..self.head + over.div_ceil(self.segment) * self.segment
    }

    /// Most bytes that are kept of a log of this size.
    pub(super) fn most_kept(&self, size: u64) -> u64 {
        size.min(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_end_at_multiples_of_their_size_and_at_the_end_of_the_head() {
        let layout = Layout::new(84);
        assert_eq!((layout.head, layout.segment), (42, 10));
        let ends = [0, 9, 10, 41, 42, 51, 52].map(|offset| layout.segment_end(offset));
        assert_eq!(ends, [10, 10, 20, 42, 52, 52, 62]);
        assert_eq!(Layout::new(64 << 20).segment, SEGMENT);
    }

    #[test]
    fn what_is_cut_leaves_no_more_than_the_limit_and_at_most_a_segment_less() {
        for limit in 2..200 {
            let layout = Layout::new(limit);
            assert!(layout.cut(limit).is_empty());
            for size in limit + 1..limit + 300 {
                let cut = layout.cut(size);
                let kept = size - (cut.end - cut.start);
                assert!(cut.start == layout.head && cut.end <= size);
                assert!(kept <= limit && kept + layout.segment > limit);
            }
        }
    }

    #[test]
    fn a_log_without_a_limit_is_never_cut() {
        let layout = Layout::new(u64::MAX);
        assert!(layout.cut(u64::MAX).is_empty());
        assert_eq!(layout.segment_end(u64::MAX), u64::MAX);
    }
}
