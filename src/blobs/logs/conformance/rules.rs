use std::time::{Duration, SystemTime};

use super::{Reopen, World, bytes, gap, key, stored};
use crate::blobs::logs::{AppendError, GapReason, LogRead};

pub(crate) fn what_was_appended_is_read_at_any_offset(reopen: Box<dyn Reopen>) {
    let mut world = World::with(reopen, 1_000);
    assert_eq!(world.store().size(key(1)), 0);
    assert_eq!(world.read(key(1), 0..0, 10), LogRead::End);
    // These bytes were never stored.
    let unknown = gap(3..5, GapReason::Expired);
    assert_eq!(world.read(key(1), 3..5, 10), unknown);

    world.append(key(1), 0..10);
    world.append(key(1), 10..20);
    // Resent, as a whole and in part.
    assert_eq!(world.try_append(key(1), 0..10, 0).unwrap(), 20);
    world.append(key(1), 15..25);
    for _ in 0..2 {
        assert_eq!(world.store().size(key(1)), 25);
        assert_eq!(world.store().stored(), 25);
        assert_eq!(world.all(key(1)), [stored(0..25)]);
        assert_eq!(world.read(key(1), 7..9, 100), stored(7..9));
        assert_eq!(world.read(key(1), 7..25, 4), stored(7..11));
        assert_eq!(world.read(key(1), 25..99, 4), LogRead::End);
        world.reopen();
    }
}

pub(crate) fn a_gap_is_explicit_and_a_hole_is_refused(reopen: Box<dyn Reopen>) {
    let mut world = World::with(reopen, 1_000);
    world.append(key(1), 0..10);
    for (offset, dropped) in [(11, 0), (20, 9)] {
        let refused = world.try_append(key(1), offset..offset + 1, dropped);
        assert!(matches!(refused, Err(AppendError::Hole { committed: 10 })));
    }
    assert_eq!(world.try_append(key(1), 20..30, 10).unwrap(), 30);
    // Resent, in part or with more bytes reported as dropped: nothing changes.
    assert_eq!(world.try_append(key(1), 20..30, 10).unwrap(), 30);
    assert_eq!(world.try_append(key(1), 25..40, 25).unwrap(), 40);
    // A gap at the end needs no bytes.
    assert_eq!(world.try_append(key(1), 50..50, 10).unwrap(), 50);
    for _ in 0..2 {
        let expected = [
            stored(0..10),
            gap(10..20, GapReason::RunnerDropped),
            stored(20..40),
            gap(40..50, GapReason::RunnerDropped),
        ];
        assert_eq!(world.all(key(1)), expected);
        assert_eq!(world.store().size(key(1)), 50);
        world.reopen();
    }
    world.append(key(1), 50..60);
    assert_eq!(world.all(key(1))[4], stored(50..60));
}

pub(crate) fn an_ended_log_takes_nothing_more(reopen: Box<dyn Reopen>) {
    let world = World::with(reopen, 1_000);
    world.append(key(1), 0..10);
    world.close(key(1));
    world.close(key(1));
    let refused = world.try_append(key(1), 10..11, 0);
    assert!(matches!(refused, Err(AppendError::Ended)));
    assert_eq!(world.all(key(1)), [stored(0..10)]);
}

pub(crate) fn a_subscriber_is_told_of_every_size(reopen: Box<dyn Reopen>) {
    let world = World::with(reopen, 20);
    let mut sizes = world.store().subscribe(key(1));
    assert_eq!(*sizes.borrow_and_update(), 0);
    for offset in [0, 30, 60] {
        world.append(key(1), offset..offset + 30);
        assert!(sizes.has_changed().unwrap());
        assert_eq!(*sizes.borrow_and_update(), offset + 30);
    }
    world.append(key(1), 80..90);
    assert!(!sizes.has_changed().unwrap());
}

pub(crate) fn a_synced_log_has_its_size_after_a_reopen(reopen: Box<dyn Reopen>) {
    let mut world = World::with(reopen, 1_000);
    let sync = |world: &World, job| world.sync(key(job));
    assert_eq!(sync(&world, 1), 0);
    world.append(key(1), 0..300);
    world.try_append(key(1), 310..320, 10).unwrap();
    assert_eq!(sync(&world, 1), 320);
    world.append(key(1), 320..330);
    world.close(key(1));
    // After the log was closed, and a second time.
    assert_eq!(sync(&world, 1), 330);
    assert_eq!(sync(&world, 1), 330);
    world.try_append(key(2), 5..5, 5).unwrap();
    assert_eq!(sync(&world, 2), 5);
    world.reopen();
    assert_eq!([1, 2].map(|job| world.store().size(key(job))), [330, 5]);
    assert_eq!([1, 2].map(|job| sync(&world, job)), [330, 5]);
}

pub(crate) fn an_append_goes_on_after_a_reopen(reopen: Box<dyn Reopen>) {
    let mut world = World::with(reopen, 80);
    let mut size = 0;
    for step in 1..40 {
        world.append(key(1), size..size + step % 7);
        size += step % 7;
        world.reopen();
        assert_eq!(world.store().size(key(1)), size);
    }
    // As if it had never been interrupted.
    let reads = world.all(key(1));
    assert_eq!(reads[0], stored(0..40));
    assert!(matches!(
        reads[1],
        LogRead::Gap {
            reason: GapReason::SizeLimit,
            ..
        }
    ));
    assert_eq!(reads.len(), 3);
    world.close(key(1));
    let refused = world.try_append(key(1), size..size + 1, 0);
    assert!(matches!(refused, Err(AppendError::Ended)));
}

pub(crate) fn removed_jobs_are_gone_and_the_others_are_listed(reopen: Box<dyn Reopen>) {
    let mut world = World::with(reopen, 1_000);
    for job in [3, 1, 2] {
        world.append(key(job), 0..10);
    }
    world.close(key(3));
    for (removed, left) in [(1, vec![2, 3]), (3, vec![2]), (9, vec![2])] {
        let job_id = key(removed).job_id;
        world.wait(world.store().remove(job_id)).unwrap();
        world.reopen();
        let jobs = world.wait(world.store().jobs()).unwrap();
        let left: Vec<_> = left.into_iter().map(|job| key(job).job_id).collect();
        assert_eq!(jobs, left);
        let expired = gap(2..10, GapReason::Expired);
        assert_eq!(world.read(key(removed), 2..10, 100), expired);
    }
    assert_eq!(world.store().stored(), 10);
    assert_eq!(world.all(key(2)), [stored(0..10)]);
}

pub(crate) fn times_tell_when_bytes_came(reopen: Box<dyn Reopen>) {
    let mut world = World::with(reopen, 1_000);
    let times = |world: &World, range| world.wait(world.store().times(key(1), range)).unwrap();
    assert_eq!(times(&world, 0..9), []);
    let before = SystemTime::now();
    world.append(key(1), 0..10);
    world.append(key(1), 10..20);
    let after = SystemTime::now();
    for _ in 0..2 {
        // The bytes are unchanged beside it.
        assert_eq!(world.all(key(1)), [LogRead::Bytes(bytes(0..20).into())]);
        let all = times(&world, 0..20);
        assert_eq!(all[0].offset, 0);
        // Microseconds are cut off.
        assert!(all[0].time + Duration::from_micros(1) > before && all[0].time <= after);
        // Whatever covers the start of the range comes first.
        assert!(times(&world, 5..20)[0].offset <= 5);
        world.reopen();
    }
}
