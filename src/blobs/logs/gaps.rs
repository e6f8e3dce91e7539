//! The ranges of a log that never arrived.

use std::ops::Range;

/// Most ranges that are remembered of one log.
pub(super) const MOST: usize = 1_000;

/// Ranges in order that neither overlap nor touch.
#[derive(Debug, Default)]
pub(super) struct Gaps(Vec<Range<u64>>);

impl Gaps {
    /// Adds a range that starts behind all others, or within the last of them. An empty
    /// one adds nothing. Beyond [`MOST`] the two that are nearest to each other become
    /// one: the bytes between them are given up and returned, so that a log of nothing
    /// but gaps takes no more memory and files than others.
    pub(super) fn push(&mut self, gap: Range<u64>) -> Option<Range<u64>> {
        if gap.is_empty() {
            return None;
        }
        match self.0.last_mut() {
            Some(last) if last.end >= gap.start => last.end = last.end.max(gap.end),
            _ => self.0.push(gap),
        }
        (self.0.len() > MOST)
            .then(|| self.merge_nearest())
            .flatten()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// Where the last one ends; 0 if there is none.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }

    /// The first range that ends behind an offset: it holds the offset or is the next.
    pub(super) fn next(&self, offset: u64) -> Option<&Range<u64>> {
        self.0.get(self.0.partition_point(|gap| gap.end <= offset))
    }

    /// Forgets what lies within a range that is not kept anyway.
    pub(super) fn forget(&mut self, within: Range<u64>) {
        let is_within = |gap: &Range<u64>| gap.start >= within.start && gap.end <= within.end;
        self.0.retain(|gap| !is_within(gap));
    }

    fn merge_nearest(&mut self) -> Option<Range<u64>> {
        let distance = |index: &usize| self.0[index + 1].start - self.0[*index].end;
        let nearest = (0..self.0.len() - 1).min_by_key(distance)?;
        let merged = self.0.remove(nearest + 1);
        let between = self.0[nearest].end..merged.start;
        self.0[nearest].end = merged.end;
        Some(between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut gaps = Gaps::default();
        for gap in [0..5, 5..5, 5..8, 7..9, 20..30] {
            gaps.push(gap);
        }
        assert_eq!(gaps.0, [0..9, 20..30]);
        assert_eq!(gaps.next(8), Some(&(0..9)));
        assert_eq!(gaps.next(9), Some(&(20..30)));
        assert_eq!(gaps.next(30), None);
    }

    #[test]
    fn only_what_lies_within_is_forgotten() {
        let mut gaps = Gaps(vec![0..9, 20..30, 40..50]);
        gaps.forget(5..45);
        assert_eq!(gaps.0, [0..9, 40..50]);
    }

    #[test]
    fn their_number_is_bounded_and_no_gap_is_lost() {
        let mut gaps = Gaps::default();
        let start = |n: u64| n * 10 + n % 7;
        let mut between = 0;
        for n in 0..5_000 {
            let given_up = gaps.push(start(n)..start(n) + 2);
            between += given_up.map_or(0, |range| range.end - range.start);
        }
        let in_gaps: u64 = gaps.iter().map(|gap| gap.end - gap.start).sum();
        assert_eq!(in_gaps, 5_000 * 2 + between);
        assert_eq!(gaps.0.len(), MOST);
        for n in 0..5_000 {
            let gap = gaps.next(start(n)).unwrap();
            assert!(gap.start <= start(n) && start(n) + 2 <= gap.end);
        }
        assert!(gaps.0.is_sorted_by(|a, b| a.end < b.start));
    }
}
