use super::{Reopen, World, gap, key, stored};
use crate::blobs::logs::{GapReason, LogLimits, LogRead};

/// Where the gap begins and ends in a log that has its head, one gap and its tail.
fn cut(world: &World, size: u64) -> (u64, u64) {
    let reads = world.all(key(1));
    let [
        LogRead::Bytes(head),
        LogRead::Gap {
            range,
            reason: GapReason::SizeLimit,
        },
        LogRead::Bytes(_),
    ] = &reads[..]
    else {
        panic!("{reads:?}");
    };
    assert_eq!(range.start, head.len() as u64);
    assert_eq!(reads[0], stored(0..range.start));
    assert_eq!(reads[2], stored(range.end..size));
    (range.start, range.end)
}

pub(crate) fn past_its_limit_a_log_keeps_both_ends(reopen: Box<dyn Reopen>) {
    let mut world = World::with(reopen, 800);
    for offset in (0..2_100).step_by(70) {
        world.append(key(1), offset..offset + 70);
        assert!(world.store().stored() <= 800);
    }
    for _ in 0..2 {
        // All of the first half, and of the last half all but an eighth of the limit.
        let (start, end) = cut(&world, 2_100);
        assert_eq!(start, 400);
        assert!((1_700..1_800).contains(&end), "{end}");
        // A gap reaches no further than was asked for.
        let part = gap(410..420, GapReason::SizeLimit);
        assert_eq!(world.read(key(1), 410..420, 9), part);
        assert_eq!(world.store().stored(), 2_100 - (end - start));
        world.reopen();
    }
    // Synced with its head gone, too.
    assert_eq!(world.sync(key(1)), 2_100);
}

pub(crate) fn one_append_may_be_larger_than_all_that_is_kept(reopen: Box<dyn Reopen>) {
    let mut world = World::with(reopen, 80);
    world.append(key(1), 0..5_003);
    for _ in 0..2 {
        let (start, end) = cut(&world, 5_003);
        assert!(start == 40 && (4_963..4_973).contains(&end));
        assert!(world.store().stored() <= 80);
        world.reopen();
    }
}

pub(crate) fn a_log_of_nothing_but_gaps_stays_small(reopen: Box<dyn Reopen>) {
    const GAPS: u64 = 2_100;
    let mut world = World::with(reopen, 1 << 20);
    let start = |n: u64| n * 10 + n % 7;
    for n in 1..=GAPS {
        let from = world.store().size(key(1));
        let end = start(n) + 2;
        let appended = world.try_append(key(1), start(n)..end, start(n) - from);
        assert_eq!(appended.unwrap(), end);
    }
    let size = start(GAPS) + 2;
    for _ in 0..2 {
        let reads = world.all(key(1));
        let is_gap = |read: &&LogRead| matches!(read, LogRead::Gap { .. });
        assert!(reads.iter().filter(is_gap).count() <= 1_000);
        assert_eq!(world.store().size(key(1)), size);
        // Bytes between two gaps may have been given up, but are never wrong.
        let mut offset = 0;
        for read in &reads {
            let range = super::range_of(read, offset).unwrap();
            offset = range.end;
            if let LogRead::Bytes(_) = read {
                assert_eq!(*read, stored(range));
            }
        }
        assert_eq!(offset, size);
        world.reopen();
    }
}

pub(crate) fn the_logs_that_ended_first_make_room_for_newer_ones(reopen: Box<dyn Reopen>) {
    let limits = LogLimits {
        of_a_log: 96,
        in_total: 250,
    };
    let world = World::limited(reopen, limits);
    let is_kept = |job| matches!(world.read(key(job), 0..1, 1), LogRead::Bytes(_));
    let kept = || (1..=5).filter(|job| is_kept(*job)).collect::<Vec<_>>();
    for job in [1, 2, 3] {
        world.append(key(job), 0..80);
    }
    // Ended in another order than they began; the third is still open.
    world.close(key(2));
    world.close(key(1));
    assert_eq!(kept(), [1, 2, 3]);
    world.append(key(4), 0..90);
    assert_eq!(kept(), [1, 3, 4]);
    assert_eq!(world.store().stored(), 250);
    // Bytes that were cut do not count.
    world.append(key(4), 90..168);
    assert_eq!(world.store().stored(), 80 + 96);
    assert_eq!(kept(), [3, 4]);
    // The remaining logs still accept writes.
    world.append(key(5), 0..90);
    assert_eq!(kept(), [3, 4, 5]);
    // Once one is closed, it is evicted.
    world.close(key(4));
    assert_eq!(kept(), [3, 5]);
    assert_eq!(world.store().stored(), 170);

    // Only the size of an expired log is kept.
    assert_eq!(world.store().size(key(2)), 80);
    let expired = gap(10..80, GapReason::Expired);
    assert_eq!(world.read(key(2), 10..80, 100), expired);
    world.wait(world.store().remove(key(3).job_id)).unwrap();
    assert_eq!(world.store().stored(), 90);
}

pub(crate) fn what_was_found_makes_room_too(reopen: Box<dyn Reopen>) {
    let limits = LogLimits {
        of_a_log: 96,
        in_total: 200,
    };
    let mut world = World::limited(reopen, limits);
    for job in [1, 2] {
        world.append(key(job), 0..90);
    }
    world.reopen();
    assert_eq!(world.store().stored(), 180);
    // The second one is written to again, so the first is evicted.
    world.append(key(2), 90..96);
    world.append(key(3), 0..90);
    assert_eq!(world.store().stored(), 96 + 90);
    assert_eq!(world.all(key(2)), [stored(0..96)]);
    let expired = gap(0..90, GapReason::Expired);
    assert_eq!(world.read(key(1), 0..90, 100), expired);
}
