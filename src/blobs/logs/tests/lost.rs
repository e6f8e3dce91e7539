//! Disks that are full, and files that other processes remove.

use std::{fs, io, ops::Range, os::unix::fs::symlink, path::PathBuf};

use bytes::Bytes;
use tempfile::TempDir;

use super::{log, world};
use crate::blobs::logs::{
    GapReason, Kept, StorageFault,
    conformance::{World, bytes, gap, key, stored},
};

fn run(directory: &TempDir) -> PathBuf {
    directory.path().join(key(1).job_id.to_string()).join("0-1")
}

fn append(world: &World, range: Range<u64>) -> Kept {
    let data = Bytes::from(bytes(range.clone()));
    let store = world.store();
    world
        .wait(store.append(key(1), range.start, 0, data))
        .unwrap()
}

#[test]
fn on_a_full_disk_what_fits_is_kept_and_the_next_append_goes_on() {
    let (mut world, directory) = world(80);
    world.append(key(1), 0..5);
    // The disk has no space for the next segment. Its empty file is removed.
    let full = run(&directory).join(format!("{:020}.log", 10));
    symlink("/dev/full", &full).unwrap();
    let kept = append(&world, 5..25);
    let lost = kept.lost.unwrap();
    assert_eq!(
        (kept.size, lost.bytes, lost.fault),
        (25, 15, StorageFault::Full)
    );
    assert_eq!(lost.error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(world.store().stored(), 10);
    world.append(key(1), 25..30);
    for _ in 0..2 {
        let expected = [
            stored(0..10),
            gap(10..25, GapReason::NotStored),
            stored(25..30),
        ];
        assert_eq!(world.all(key(1)), expected);
        assert_eq!(world.store().stored(), 15);
        world.reopen();
    }
}

#[test]
fn a_gap_that_cannot_be_recorded_is_recorded_later() {
    let (mut world, directory) = world(80);
    world.append(key(1), 0..5);
    let gaps = run(&directory).join("gaps");
    fs::create_dir(&gaps).unwrap();
    assert_eq!(world.try_append(key(1), 7..9, 2).unwrap(), 9);
    let dropped = gap(5..7, GapReason::RunnerDropped);
    assert_eq!(world.all(key(1)), [stored(0..5), dropped, stored(7..9)]);
    // A restart finds a gap all the same, without its reason.
    fs::remove_dir(&gaps).unwrap();
    world.reopen();
    let expired = gap(5..7, GapReason::Expired);
    assert_eq!(world.all(key(1))[1], expired);
    assert_eq!(world.try_append(key(1), 9..9, 0).unwrap(), 9);

    fs::create_dir(&gaps).unwrap();
    assert_eq!(world.try_append(key(1), 12..13, 3).unwrap(), 13);
    fs::remove_dir(&gaps).unwrap();
    world.append(key(1), 13..14);
    world.reopen();
    let dropped = gap(9..12, GapReason::RunnerDropped);
    assert_eq!(world.all(key(1))[3], dropped);
}

#[test]
fn a_directory_that_is_deleted_under_its_writer_is_a_gap() {
    // The directory of the job, and that of all logs.
    for is_root in [false, true] {
        let (mut world, directory) = world(80);
        world.append(key(1), 0..25);
        let job = directory.path().join(key(1).job_id.to_string());
        fs::remove_dir_all(if is_root { directory.path() } else { &job }).unwrap();
        // Written to files that exist, not to an unlinked one.
        world.append(key(1), 25..28);
        let kept = world.wait(world.store().sync(key(1))).unwrap();
        let lost = kept.lost.unwrap();
        assert_eq!(
            (kept.size, lost.bytes, lost.fault),
            (28, 25, StorageFault::Gone)
        );
        assert_eq!(world.store().loss(key(1)).not_stored, 25);
        world.append(key(1), 28..35);
        world.close(key(1));
        for _ in 0..2 {
            let expected = [gap(0..25, GapReason::NotStored), stored(25..35)];
            assert_eq!(world.all(key(1)), expected);
            assert_eq!(world.store().stored(), 10);
            world.reopen();
        }
        world.wait(world.store().remove(key(1).job_id)).unwrap();
        assert_eq!(world.store().stored(), 0);
    }
}

#[test]
fn until_the_end_of_a_log_its_readers_see_what_was_deleted() {
    let (world, directory) = world(80);
    world.append(key(1), 0..15);
    fs::remove_dir_all(directory.path()).unwrap();
    let expected = [gap(0..10, GapReason::NotStored), stored(10..15)];
    // The last segment is still open.
    assert_eq!(world.all(key(1)), expected);
    // A file in the place of the directory is no better.
    fs::write(directory.path(), "").unwrap();
    assert_eq!(world.all(key(1)), expected);
    let lost = append(&world, 15..22).lost.unwrap();
    assert_eq!((lost.bytes, lost.fault), (7, StorageFault::Gone));
    assert_eq!(world.all(key(1))[1], gap(10..15, GapReason::NotStored));
    let kept = world.wait(world.store().sync(key(1))).unwrap();
    assert_eq!((kept.size, kept.lost.unwrap().bytes), (22, 15));
    assert_eq!(world.all(key(1)), [gap(0..22, GapReason::NotStored)]);
    fs::remove_file(directory.path()).unwrap();
}

#[test]
fn a_segment_that_was_cut_short_is_not_filled_up_with_zeros() {
    let (mut world, directory) = world(80);
    world.append(key(1), 0..5);
    world.reopen();
    let first = run(&directory).join(format!("{:020}.log", 0));
    fs::File::options()
        .write(true)
        .open(first)
        .unwrap()
        .set_len(2)
        .unwrap();
    world.append(key(1), 5..9);
    let expected = |reason| [stored(0..2), gap(2..5, reason), stored(5..9)];
    assert_eq!(world.all(key(1)), expected(GapReason::NotStored));
    let kept = world.wait(world.store().sync(key(1))).unwrap();
    assert_eq!(kept.lost.unwrap().bytes, 3);
    for _ in 0..2 {
        assert_eq!(world.all(key(1)), expected(GapReason::NotStored));
        assert_eq!(world.store().stored(), 6);
        world.reopen();
    }
}

#[test]
fn what_stands_in_the_way_of_the_directory_is_a_fault_that_passes() {
    let (directory, log) = log(80);
    let path = directory.path().join("0-1");
    fs::write(&path, "").unwrap();
    let lost = log.append(0, 0, b"x", 0).unwrap().lost.unwrap();
    assert_eq!((lost.bytes, lost.fault), (1, StorageFault::Gone));
    fs::remove_file(path).unwrap();
    assert!(log.append(1, 0, &bytes(1..10), 0).unwrap().lost.is_none());
    assert_eq!(
        log.read(0, 10, 100).unwrap(),
        gap(0..1, GapReason::NotStored)
    );
    assert_eq!(log.read(1, 10, 100).unwrap(), stored(1..10));
}

#[test]
fn a_torn_end_is_more_than_was_committed_and_nothing_else() {
    let (mut world, directory) = world(80);
    world.append(key(1), 0..4);
    let first = run(&directory).join(format!("{:020}.log", 0));
    fs::write(first, bytes(0..7)).unwrap();
    world.reopen();
    // A reader that knows that 4 bytes were committed asks for no more.
    assert_eq!(world.read(key(1), 0..4, 100), stored(0..4));
    // The runner resends the bytes that were not acknowledged.
    assert_eq!(world.try_append(key(1), 4..9, 0).unwrap(), 9);
    assert_eq!(world.all(key(1)), [stored(0..9)]);
}
