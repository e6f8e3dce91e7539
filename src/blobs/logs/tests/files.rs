use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use uuid::Uuid;

use super::{FileLogs, UNLIMITED, files, world};
use crate::blobs::logs::{
    Durability, GapReason, LogRead,
    conformance::{gap, key, stored},
};

fn open(root: &Path) -> std::io::Result<FileLogs> {
    FileLogs::open(root.to_owned(), UNLIMITED, Durability::Process)
}

#[test]
fn segments_are_named_by_their_first_offset_and_one_begins_after_a_gap() {
    let (world, directory) = world(80);
    world.append(key(1), 0..13);
    world.try_append(key(1), 15..35, 2).unwrap();
    let run = directory.path().join(key(1).job_id.to_string()).join("0-1");
    let mut expected: Vec<_> = [(0, 10), (10, 3), (15, 5), (20, 10), (30, 5)]
        .map(|(offset, length)| (format!("{offset:020}.log"), length))
        .into();
    expected.extend([("gaps".to_owned(), 32), ("times".to_owned(), 16)]);
    assert_eq!(files(&run), expected);
    // 40 bytes at the start and, of 61, whole segments of 10 of the last 40.
    world.append(key(1), 35..101);
    let names: Vec<_> = files(&run).into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&format!("{:020}.log", 70)), "{names:?}");
    assert!(!names.contains(&format!("{:020}.log", 60)), "{names:?}");
}

#[test]
fn a_log_that_is_written_to_has_one_open_file_and_an_ended_one_has_none() {
    let (mut world, directory) = world(80);
    let open = || {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap();
        let paths = descriptors.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        let ours = paths.filter(|path| path.starts_with(directory.path()));
        ours.filter(|path| !path.ends_with(".lock")).count()
    };
    world.append(key(1), 0..35);
    world.try_append(key(1), 40..400, 5).unwrap();
    assert_eq!(open(), 1);
    world.sync(key(1));
    assert_eq!(open(), 1);
    world.close(key(1));
    assert_eq!(open(), 0);
    assert_eq!(world.read(key(1), 0..10, 100), stored(0..10));
    assert_eq!(open(), 0);
    world.reopen();
    assert_eq!(world.read(key(1), 0..10, 100), stored(0..10));
    assert_eq!(open(), 0);
}

#[test]
fn a_directory_is_for_one_service_and_what_others_keep_there_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let old = Uuid::from_u128(1).to_string();
    let of_others = ["notes", "0000", &old.replace('-', "")];
    for name in [&old[..]].iter().chain(&of_others) {
        fs::create_dir_all(root.join(name).join("0-1")).unwrap();
        let segment = format!("{:020}.log", 0);
        fs::write(root.join(name).join("0-1").join(segment), "old").unwrap();
    }
    // No directory, whatever its name.
    fs::write(root.join(Uuid::from_u128(2).to_string()), "").unwrap();

    let logs = open(root).unwrap();
    let jobs = crate::blobs::logs::directory::jobs(root).unwrap();
    assert_eq!(jobs, [key(1).job_id]);
    assert_eq!(logs.total.bytes(), 3);

    let refused = open(root).err().unwrap();
    assert!(refused.to_string().contains("another service"), "{refused}");
    drop(logs);
    assert!(open(root).is_ok());
}

#[test]
fn what_is_kept_is_for_the_service_alone() {
    let (world, directory) = world(80);
    world.try_append(key(1), 5..400, 5).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let job = directory.path().join(key(1).job_id.to_string());
    assert_eq!(mode(&job), 0o700);
    assert_eq!(mode(&job.join("0-1")), 0o700);
    for file in fs::read_dir(job.join("0-1")).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn a_limit_may_be_another_after_a_reopen() {
    let (mut world, _directory) = world(800);
    world.append(key(1), 0..900);
    let before = world.all(key(1));
    for limit in [80, 8_000, 400] {
        world.limit(limit);
        assert_eq!(world.all(key(1)), before);
    }
    // Only what is written to is cut, and whatever is left is right.
    world.append(key(1), 900..901);
    assert!(world.store().stored() <= 400);
    let reads = world.all(key(1));
    assert_eq!(reads[0], stored(0..200));
    let LogRead::Gap {
        range,
        reason: GapReason::SizeLimit,
    } = &reads[1]
    else {
        panic!("{reads:?}");
    };
    assert_eq!(reads[1], gap(200..range.end, GapReason::SizeLimit));
    assert_eq!(reads[2..], [stored(range.end..901)]);
}
