//! Disks that are full, and files that others remove.

use std::{fs, io, os::unix::fs::symlink, path::PathBuf};

use tempfile::TempDir;

use super::{log, world};
use crate::blobs::logs::{
    AppendError, GapReason, LogRead,
    conformance::{bytes, gap, key, stored},
};

fn run(directory: &TempDir) -> PathBuf {
    directory.path().join(key(1).job_id.to_string()).join("0-1")
}

#[test]
fn on_a_full_disk_what_fits_is_kept_and_the_next_append_goes_on() {
    let (mut world, directory) = world(80);
    world.append(key(1), 0..5);
    // The next segment has no room for a byte.
    let full = run(&directory).join(format!("{:020}.log", 10));
    symlink("/dev/full", &full).unwrap();
    for _ in 0..2 {
        let refused = world.try_append(key(1), 5..25, 0);
        let Err(AppendError::Io(error)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(world.store().size(key(1)), 10);
        assert_eq!(world.store().stored(), 10);
        assert_eq!(world.all(key(1)), [stored(0..10)]);
    }
    fs::remove_file(full).unwrap();
    world.append(key(1), 5..25);
    assert_eq!(world.store().stored(), 25);
    world.reopen();
    assert_eq!(world.all(key(1)), [stored(0..25)]);
}

#[test]
fn a_gap_that_cannot_be_recorded_is_not_taken() {
    let (world, directory) = world(80);
    world.append(key(1), 0..5);
    let gaps = run(&directory).join("gaps");
    symlink("/dev/full", &gaps).unwrap();
    let refused = world.try_append(key(1), 7..9, 2);
    assert!(matches!(refused, Err(AppendError::Io(_))));
    assert_eq!(world.store().size(key(1)), 5);
    fs::remove_file(gaps).unwrap();
    assert_eq!(world.try_append(key(1), 7..9, 2).unwrap(), 9);
}

#[test]
fn a_directory_that_is_deleted_under_its_writer_is_made_again_and_fails_a_sync() {
    let (mut world, directory) = world(80);
    world.append(key(1), 0..25);
    fs::remove_dir_all(directory.path().join(key(1).job_id.to_string())).unwrap();
    // Written to a file without a name: nobody may be told that it is safe.
    world.append(key(1), 25..28);
    let refused = world.wait(world.store().sync(key(1)));
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);
    world.append(key(1), 28..35);
    world.close(key(1));
    let expected = [
        gap(0..10, GapReason::Expired),
        gap(10..20, GapReason::Expired),
        gap(20..30, GapReason::Expired),
        stored(30..35),
    ];
    assert_eq!(world.all(key(1)), expected);
    world.reopen();
    assert_eq!(world.store().stored(), 5);
    let expected = [gap(0..30, GapReason::Expired), stored(30..35)];
    assert_eq!(world.all(key(1)), expected);
    world.wait(world.store().remove(key(1).job_id)).unwrap();
    assert_eq!(world.store().stored(), 0);
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
    let expected = [stored(0..2), gap(2..5, GapReason::Expired), stored(5..9)];
    assert_eq!(world.all(key(1)), expected);
    world.reopen();
    assert_eq!(world.all(key(1)), expected);
}

#[test]
fn what_stands_in_the_way_of_the_directory_is_an_error_that_passes() {
    let (directory, log) = log(80);
    let path = directory.path().join("0-1");
    fs::write(&path, "").unwrap();
    let refused = log.append(0, 0, b"x", 0);
    assert!(matches!(refused, Err(AppendError::Io(_))));
    fs::remove_file(path).unwrap();
    assert_eq!(log.append(0, 0, &bytes(0..10), 0).unwrap(), 10);
    let read = log.read(0, 10, 100).unwrap();
    assert_eq!(read, LogRead::Bytes(bytes(0..10).into()));
}

#[test]
fn a_torn_end_is_more_than_was_committed_and_nothing_else() {
    let (mut world, directory) = world(80);
    world.append(key(1), 0..4);
    let first = run(&directory).join(format!("{:020}.log", 0));
    fs::write(first, bytes(0..7)).unwrap();
    world.reopen();
    // Whoever knows that 4 bytes were committed asks for no more.
    assert_eq!(world.read(key(1), 0..4, 100), stored(0..4));
    // The runner sends again what was not acknowledged.
    assert_eq!(world.try_append(key(1), 4..9, 0).unwrap(), 9);
    assert_eq!(world.all(key(1)), [stored(0..9)]);
}
