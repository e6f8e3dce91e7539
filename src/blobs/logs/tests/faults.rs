//! Disks that refuse operations of logs.

use std::{
    fs::{File, OpenOptions},
    io,
    ops::Range,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use nix::errno::Errno;
use parking_lot::Mutex;

use super::Files;
use crate::{
    blobs::logs::{
        Durability,
        GapReason::{NotStored, RunnerDropped, SizeLimit},
        Kept, LogRead, StorageFault,
        conformance::{World, bytes, gap, key, stored},
        disk::{Disk, RealDisk},
    },
    domain::LogLoss,
};

/// What a disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refuses {
    Nothing,
    /// Every byte beyond this many.
    BytesAfter(usize),
    /// To create anything.
    Names,
    /// Every call, with this error.
    All(Errno),
    /// To sync anything.
    Syncs,
}

/// A disk that refuses the operations that the test selects.
#[derive(Debug)]
struct Faulty(Mutex<Refuses>);

impl Faulty {
    fn set(&self, refuses: Refuses) {
        *self.0.lock() = refuses;
    }

    fn may_open(&self, path: &Path) -> io::Result<()> {
        match *self.0.lock() {
            Refuses::All(error) => Err(error.into()),
            Refuses::Names if !path.exists() => Err(Errno::ENOSPC.into()),
            Refuses::Nothing | Refuses::BytesAfter(_) | Refuses::Names | Refuses::Syncs => Ok(()),
        }
    }
}

impl Disk for Faulty {
    fn open(&self, options: &OpenOptions, path: &Path) -> io::Result<File> {
        self.may_open(path)?;
        RealDisk.open(options, path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.may_open(path)?;
        RealDisk.create_directory(path)
    }

    fn write_at(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<usize> {
        let fits = match &mut *self.0.lock() {
            Refuses::All(error) => return Err((*error).into()),
            Refuses::BytesAfter(0) => return Err(Errno::ENOSPC.into()),
            Refuses::BytesAfter(left) => {
                let fits = bytes.len().min(*left);
                *left -= fits;
                fits
            }
            Refuses::Nothing | Refuses::Names | Refuses::Syncs => bytes.len(),
        };
        RealDisk.write_at(file, &bytes[..fits], position)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        match *self.0.lock() {
            Refuses::Syncs => Err(Errno::EIO.into()),
            Refuses::All(error) => Err(error.into()),
            Refuses::Nothing | Refuses::BytesAfter(_) | Refuses::Names => RealDisk.sync(file),
        }
    }

    fn is_out_of_inodes(&self, _: &Path) -> bool {
        *self.0.lock() == Refuses::Names
    }
}

fn world(of_a_log: u64, durability: Durability) -> (World, Arc<Faulty>) {
    let disk = Arc::new(Faulty(Mutex::new(Refuses::Nothing)));
    let files = Files::on(Arc::clone(&disk) as _, durability);
    (World::with(Box::new(files), of_a_log), disk)
}

fn append(world: &World, range: Range<u64>, dropped: u64) -> Kept {
    let data = Bytes::from(bytes(range.clone()));
    let store = world.store();
    world
        .wait(store.append(key(1), range.start, dropped, data))
        .unwrap()
}

/// Every fault that a disk can have, and its classification.
fn faults() -> [(Refuses, StorageFault); 9] {
    [
        (Refuses::BytesAfter(0), StorageFault::Full),
        (Refuses::All(Errno::ENOSPC), StorageFault::Full),
        (Refuses::All(Errno::EDQUOT), StorageFault::Full),
        (Refuses::Names, StorageFault::NoInodes),
        (Refuses::All(Errno::ENOTDIR), StorageFault::Gone),
        (Refuses::All(Errno::EROFS), StorageFault::ReadOnly),
        (Refuses::All(Errno::EACCES), StorageFault::Denied),
        (Refuses::All(Errno::EIO), StorageFault::Io),
        (Refuses::All(Errno::EMFILE), StorageFault::Io),
    ]
}

#[test]
fn what_a_disk_does_not_take_is_a_gap_and_the_log_goes_on() {
    for (refuses, fault) in faults() {
        for durability in [Durability::Process, Durability::Disk] {
            let (mut world, disk) = world(80, durability);
            world.append(key(1), 0..10);
            disk.set(refuses);
            // More than one append, and one with bytes that the runner dropped itself.
            for (range, dropped, lost) in [(10..25, 0, 15), (25..30, 0, 5), (32..40, 2, 8)] {
                let end = range.end;
                let kept = append(&world, range, dropped);
                assert_eq!(kept.size, end, "{refuses:?}");
                let told = kept.lost.unwrap();
                assert_eq!((told.bytes, told.fault), (lost, fault), "{refuses:?}");
            }
            assert_eq!(world.store().size(key(1)), 40);
            disk.set(Refuses::Nothing);
            world.append(key(1), 40..50);
            assert_eq!(world.sync(key(1)), 50);
            let expected = [
                stored(0..10),
                gap(10..30, NotStored),
                gap(30..32, RunnerDropped),
                gap(32..40, NotStored),
                stored(40..50),
            ];
            let loss = LogLoss {
                not_stored: 28,
                runner_dropped: 2,
                ..LogLoss::default()
            };
            // The reasons were recorded as soon as the disk allowed it.
            for _ in 0..2 {
                assert_eq!(world.all(key(1)), expected, "{refuses:?}");
                assert_eq!(world.store().loss(key(1)), loss, "{refuses:?}");
                assert_eq!(world.store().stored(), 20);
                world.reopen();
            }
        }
    }
}

#[test]
fn a_log_of_which_nothing_can_be_stored_is_a_gap() {
    for (refuses, fault) in faults() {
        let (mut world, disk) = world(80, Durability::Process);
        disk.set(refuses);
        let lost = append(&world, 0..10, 0).lost.unwrap();
        assert_eq!((lost.bytes, lost.fault), (10, fault));
        assert_eq!(world.sync(key(1)), 10);
        assert_eq!(world.all(key(1)), [gap(0..10, NotStored)], "{refuses:?}");
        world.close(key(1));
        world.reopen();
        assert_eq!(world.store().stored(), 0);
    }
}

#[test]
fn what_fits_is_kept() {
    let (mut world, disk) = world(80, Durability::Process);
    world.append(key(1), 0..5);
    // Within the first segment, at its end, and within the second one.
    for space in [2, 3, 12] {
        let start = world.store().size(key(1));
        disk.set(Refuses::BytesAfter(space));
        let kept = append(&world, start..start + 20, 0);
        assert_eq!(kept.lost.unwrap().bytes, 20 - space as u64);
    }
    disk.set(Refuses::Nothing);
    world.append(key(1), 65..66);
    for _ in 0..2 {
        let expected = [
            stored(0..7),
            gap(7..25, NotStored),
            stored(25..28),
            gap(28..45, NotStored),
            stored(45..57),
            gap(57..65, NotStored),
            stored(65..66),
        ];
        assert_eq!(world.all(key(1)), expected);
        assert_eq!(world.store().stored(), 7 + 3 + 12 + 1);
        world.reopen();
    }
}

#[test]
fn a_full_disk_is_not_filled_with_empty_files() {
    let disk = Arc::new(Faulty(Mutex::new(Refuses::Nothing)));
    let files = Files::on(Arc::clone(&disk) as _, Durability::Process);
    let directory = Arc::clone(&files.directory);
    let world = World::with(Box::new(files), 1 << 20);
    world.append(key(1), 0..10);
    let run = directory.path().join(key(1).job_id.to_string()).join("0-1");
    disk.set(Refuses::BytesAfter(0));
    for offset in 10..500 {
        assert!(append(&world, offset..offset + 1, 0).lost.is_some());
    }
    // The segment, and files of which the disk has taken the names.
    let names: Vec<_> = super::files(&run)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() <= 3, "{names:?}");
    disk.set(Refuses::Nothing);
    world.append(key(1), 500..501);
    assert_eq!(world.all(key(1))[1], gap(10..500, NotStored));
    // One record for all of it, beside that of what was cut.
    let gaps = super::files(&run)
        .into_iter()
        .find(|(name, _)| name == "gaps");
    assert_eq!(gaps, Some(("gaps".to_owned(), 32)));
}

#[test]
fn a_log_over_its_limit_is_cut_on_a_full_disk_too() {
    let (mut world, disk) = world(80, Durability::Process);
    world.append(key(1), 0..75);
    disk.set(Refuses::BytesAfter(0));
    let kept = append(&world, 75..300, 0);
    assert_eq!(kept.size, 300);
    disk.set(Refuses::Nothing);
    world.append(key(1), 300..310);
    let reads = world.all(key(1));
    assert_eq!(reads[0], stored(0..40));
    let LogRead::Gap { range, reason } = &reads[1] else {
        panic!("{reads:?}");
    };
    assert_eq!((range.start, *reason), (40, SizeLimit));
    assert_eq!(
        reads[2..],
        [gap(range.end..300, NotStored), stored(300..310)]
    );
    let loss = world.store().loss(key(1));
    assert_eq!(loss.size_limit + loss.not_stored, 300 - 40);
    world.reopen();
    assert_eq!(world.all(key(1)), reads);
    assert_eq!(world.store().loss(key(1)), loss);
}

#[test]
fn what_a_failed_sync_leaves_in_doubt_is_a_gap() {
    let (mut world, disk) = world(80, Durability::Disk);
    world.append(key(1), 0..20);
    assert_eq!(world.sync(key(1)), 20);
    world.append(key(1), 20..35);
    disk.set(Refuses::Syncs);
    let kept = world.wait(world.store().sync(key(1))).unwrap();
    let lost = kept.lost.unwrap();
    assert_eq!(
        (kept.size, lost.bytes, lost.fault),
        (35, 15, StorageFault::Io)
    );
    disk.set(Refuses::Nothing);
    assert_eq!(world.sync(key(1)), 35);
    world.append(key(1), 35..40);
    assert_eq!(world.sync(key(1)), 40);
    let expected = [stored(0..20), gap(20..35, NotStored), stored(35..40)];
    for _ in 0..2 {
        assert_eq!(world.all(key(1)), expected);
        assert_eq!(world.store().stored(), 25);
        world.reopen();
    }
}
