//! The ranges of a log that are missing, except for the range that its limit has cut.

use std::ops::Range;

use super::GapReason;

/// Most ranges that are remembered of one log.
pub(super) const MOST: usize = 1_000;

/// A range that is missing, and why: [`GapReason::RunnerDropped`] or
/// [`GapReason::NotStored`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) range: Range<u64>,
    pub(super) reason: GapReason,
}

impl Gap {
    /// Whether another one begins where this one ends, for the same reason.
    pub(super) fn continues_as(&self, next: &Self) -> bool {
        self.range.end == next.range.start && self.reason == next.reason
    }
}

/// Ranges in order that do not overlap, nor touch if they have the same reason.
#[derive(Debug, Default)]
pub(super) struct Gaps(Vec<Gap>);

impl Gaps {
    /// Adds the new part of a range: the one up to the next known range. An empty
    /// one adds nothing. Beyond [`MOST`] the two that are nearest to each other are merged into
    /// one: the bytes between them are given up and returned, so that a log of nothing
    /// but gaps takes no more memory and files than others.
    pub(super) fn insert(&mut self, gap: Gap) -> Option<Range<u64>> {
        let Gap { mut range, reason } = gap;
        let mut at = self
            .0
            .partition_point(|known| known.range.end <= range.start);
        if let Some(known) = self.0.get(at)
            && known.range.start <= range.start
        {
            range.start = known.range.end;
            at += 1;
        }
        if let Some(next) = self.0.get(at) {
            range.end = range.end.min(next.range.start);
        }
        if range.is_empty() {
            return None;
        }
        self.0.insert(at, Gap { range, reason });
        self.join(at);
        if at > 0 {
            self.join(at - 1);
        }
        (self.0.len() > MOST)
            .then(|| self.merge_nearest())
            .flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Gap> {
        self.0.iter()
    }

    /// Where the last one ends; 0 if there is none.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.range.end)
    }

    /// The first range that ends after an offset: it contains the offset or is the next.
    pub(super) fn next(&self, offset: u64) -> Option<&Gap> {
        let behind = self.0.partition_point(|gap| gap.range.end <= offset);
        self.0.get(behind)
    }

    /// Forgets the gaps within a range that is not kept anyway.
    pub(super) fn forget(&mut self, within: Range<u64>) {
        let is_within = |gap: &Gap| gap.range.start >= within.start && gap.range.end <= within.end;
        self.0.retain(|gap| !is_within(gap));
    }

    /// Merges two neighbours if the second continues the first.
    fn join(&mut self, at: usize) {
        if let [first, second, ..] = &self.0[at..]
            && first.continues_as(second)
        {
            self.0[at].range.end = self.0.remove(at + 1).range.end;
        }
    }

    fn merge_nearest(&mut self) -> Option<Range<u64>> {
        let distance = |index: &usize| self.0[index + 1].range.start - self.0[*index].range.end;
        let nearest = (0..self.0.len() - 1).min_by_key(distance)?;
        let merged = self.0.remove(nearest + 1);
        let gap = &mut self.0[nearest];
        let between = gap.range.end..merged.range.start;
        gap.range.end = merged.range.end;
        if gap.reason != merged.reason {
            // The runner has not dropped the bytes that were given up here.
            gap.reason = GapReason::NotStored;
        }
        Some(between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GapReason::{NotStored, RunnerDropped};

    fn gap(range: Range<u64>, reason: GapReason) -> Gap {
        Gap { range, reason }
    }

    fn gaps(all: &[(Range<u64>, GapReason)]) -> Gaps {
        let all = all.iter().cloned();
        Gaps(all.map(|(range, reason)| gap(range, reason)).collect())
    }

    #[test]
    fn ranges_that_touch_are_one_if_they_have_one_reason() {
        let mut gaps = Gaps::default();
        for range in [0..5, 5..5, 5..8, 7..9, 20..30] {
            gaps.insert(gap(range, RunnerDropped));
        }
        for range in [30..31, 31..35, 15..20] {
            gaps.insert(gap(range, NotStored));
        }
        let expected = [
            gap(0..9, RunnerDropped),
            gap(15..20, NotStored),
            gap(20..30, RunnerDropped),
            gap(30..35, NotStored),
        ];
        assert_eq!(gaps.0, expected);
        assert_eq!(gaps.next(8), Some(&expected[0]));
        assert_eq!(gaps.next(9), Some(&expected[1]));
        assert_eq!(gaps.next(35), None);
    }

    #[test]
    fn what_is_known_to_be_missing_keeps_its_reason() {
        let mut gaps = gaps(&[(10..20, RunnerDropped), (40..50, NotStored)]);
        for (range, reason) in [
            (12..15, NotStored),
            (15..30, NotStored),
            (5..60, RunnerDropped),
            (30..40, NotStored),
        ] {
            gaps.insert(gap(range, reason));
        }
        let expected = [gap(5..20, RunnerDropped), gap(20..50, NotStored)];
        assert_eq!(gaps.0, expected);
    }

    #[test]
    fn only_what_lies_within_is_forgotten() {
        let mut gaps = gaps(&[
            (0..9, RunnerDropped),
            (20..30, NotStored),
            (40..50, RunnerDropped),
        ]);
        gaps.forget(5..45);
        let left: Vec<_> = gaps.0.iter().map(|gap| gap.range.clone()).collect();
        assert_eq!(left, [0..9, 40..50]);
    }

    #[test]
    fn their_number_is_bounded_and_no_gap_is_lost() {
        let mut gaps = Gaps::default();
        let start = |n: u64| n * 10 + n % 7;
        let mut between = 0;
        for n in 0..5_000 {
            let given_up = gaps.insert(gap(start(n)..start(n) + 2, RunnerDropped));
            between += given_up.map_or(0, |range| range.end - range.start);
        }
        let in_gaps: u64 = gaps.iter().map(|gap| gap.range.end - gap.range.start).sum();
        assert_eq!(in_gaps, 5_000 * 2 + between);
        assert_eq!(gaps.0.len(), MOST);
        for n in 0..5_000 {
            let gap = &gaps.next(start(n)).unwrap().range;
            assert!(gap.start <= start(n) && start(n) + 2 <= gap.end);
        }
        assert!(gaps.0.is_sorted_by(|a, b| a.range.end < b.range.start));
    }
}
