use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    AppendError, FileLogs, GapReason, LogKey, LogLimits, LogRead, layout::Layout, log::Log,
};
use crate::domain::{JobId, RunKey};

const UNLIMITED: LogLimits = LogLimits {
    of_a_log: u64::MAX,
    in_total: u64::MAX,
};

fn log(limit: u64) -> (TempDir, Log) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("job/0-1.log");
    let log = Log::new(path, Layout::new(limit), Arc::default());
    (directory, log)
}

/// A byte that tells of which offset it is.
fn byte(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn bytes(from: u64, to: u64) -> Vec<u8> {
    (from..to).map(byte).collect()
}

fn gap(start: u64, end: u64, reason: GapReason) -> LogRead {
    LogRead::Gap {
        range: start..end,
        reason,
    }
}

/// All that a reader gets who starts at an offset.
fn all(log: &Log, mut offset: u64) -> Vec<LogRead> {
    let mut reads = Vec::new();
    loop {
        let read = log.read(offset, u64::MAX, 1 << 20).unwrap();
        offset = match &read {
            LogRead::Bytes(data) => offset + data.len() as u64,
            LogRead::Gap { range, .. } => {
                assert_eq!(range.start, offset);
                range.end
            }
            LogRead::End => return reads,
        };
        reads.push(read);
    }
}

fn stored(from: u64, to: u64) -> LogRead {
    LogRead::Bytes(bytes(from, to).into())
}

#[test]
fn past_its_limit_a_log_keeps_its_head_and_its_tail() {
    let (_directory, log) = log(20);
    for offset in (0..35).step_by(7) {
        log.append(offset, 0, &bytes(offset, offset + 7)).unwrap();
    }
    // The ring of ten bytes is cut where it wraps: 25 to 30 is behind 30 to 35.
    let whole = [
        stored(0, 10),
        gap(10, 25, GapReason::SizeLimit),
        stored(25, 30),
        stored(30, 35),
    ];
    assert_eq!(all(&log, 0), whole);
    assert_eq!(all(&log, 12)[0], gap(12, 25, GapReason::SizeLimit));
    assert_eq!(all(&log, 24)[0], gap(24, 25, GapReason::SizeLimit));
    assert_eq!(all(&log, 27)[0], stored(27, 30));
    assert_eq!(all(&log, 35), []);
    // A gap reaches no further than was asked for, and neither do bytes.
    assert_eq!(
        log.read(12, 15, 9).unwrap(),
        gap(12, 15, GapReason::SizeLimit)
    );
    assert_eq!(log.read(2, 5, 9).unwrap(), stored(2, 5));
}

#[test]
fn one_append_may_be_larger_than_all_that_is_kept() {
    let (directory, log) = log(20);
    log.append(0, 0, &bytes(0, 1_003)).unwrap();
    assert_eq!(
        all(&log, 0),
        [
            stored(0, 10),
            gap(10, 993, GapReason::SizeLimit),
            stored(993, 1_000),
            stored(1_000, 1_003)
        ]
    );
    let sizes: BTreeMap<_, _> = fs::read_dir(directory.path().join("job"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), entry.metadata().unwrap().len()))
        .collect();
    assert_eq!(
        sizes,
        BTreeMap::from([("0-1.log".into(), 10), ("0-1.tail".into(), 10)])
    );
}

#[test]
fn what_the_runner_dropped_is_a_gap_and_a_hole_is_refused() {
    let (_directory, log) = log(1_000);
    log.append(0, 0, &bytes(0, 10)).unwrap();
    for (offset, dropped) in [(11, 0), (20, 9)] {
        let refused = log.append(offset, dropped, b"x");
        assert!(matches!(refused, Err(AppendError::Hole { committed: 10 })));
    }
    assert_eq!(log.append(20, 10, &bytes(20, 30)).unwrap(), 30);
    // Sent again, in part or with more that was said to be dropped: nothing changes.
    assert_eq!(log.append(20, 10, &bytes(20, 30)).unwrap(), 30);
    assert_eq!(log.append(25, 25, &bytes(25, 40)).unwrap(), 40);
    // A gap at the end needs no bytes.
    assert_eq!(log.append(50, 10, b"").unwrap(), 50);
    assert_eq!(
        all(&log, 0),
        [
            stored(0, 10),
            gap(10, 20, GapReason::RunnerDropped),
            stored(20, 40),
            gap(40, 50, GapReason::RunnerDropped)
        ]
    );
    assert_eq!(*log.size.borrow(), 50);
}

#[derive(Clone, Debug)]
enum Op {
    Append { again: u64, len: u64 },
    Drop { again: u64, dropped: u64, len: u64 },
    Hole { by: u64, len: u64 },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let small = || 0u64..40;
    proptest::collection::vec(
        prop_oneof![
            4 => (small(), small()).prop_map(|(again, len)| Op::Append { again, len }),
            2 => (small(), small(), small())
                .prop_map(|(again, dropped, len)| Op::Drop { again, dropped, len }),
            1 => (1u64..40, small()).prop_map(|(by, len)| Op::Hole { by, len }),
        ],
        0..40,
    )
}

/// The whole log in memory: every byte, or none where it was dropped.
#[derive(Default)]
struct Model(Vec<Option<u8>>);

impl Model {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn extend(&mut self, from: u64, to: u64) {
        self.0
            .resize(self.0.len().max(usize::try_from(from).unwrap()), None);
        self.0
            .extend((self.size()..to).map(|offset| Some(byte(offset))));
    }
}

fn apply(op: &Op, log: &Log, model: &mut Model) {
    let size = model.size();
    let (offset, dropped, len) = match *op {
        Op::Append { again, len } => (size.saturating_sub(again), 0, len),
        Op::Drop {
            again,
            dropped,
            len,
        } => {
            let from = size.saturating_sub(again);
            (from + dropped, dropped, len)
        }
        Op::Hole { by, len } => {
            let refused = log.append(size + by, 0, &bytes(size + by, size + by + len));
            assert!(matches!(refused, Err(AppendError::Hole { committed }) if committed == size));
            return;
        }
    };
    let committed = log.append(offset, dropped, &bytes(offset, offset + len));
    model.extend(offset, offset + len);
    assert_eq!(committed.unwrap(), model.size());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A reader gets the right byte or an explicit gap, from wherever it starts, and
    /// a gap only where a byte was dropped or had to go.
    #[test]
    fn every_read_is_as_in_a_simple_model(
        limit in 2u64..120,
        ops in ops(),
        starts in proptest::collection::vec(0u64..400, 1..6),
        most in 1usize..50,
    ) {
        let (_directory, log) = log(limit);
        let mut model = Model::default();
        for op in &ops {
            apply(op, &log, &mut model);
            let size = model.size();
            let kept = |offset: u64| offset < limit - limit / 2 || offset + limit / 2 >= size;
            for &start in &starts {
                let mut offset = start % (size + 1);
                while offset < size {
                    let end = match log.read(offset, size, most).unwrap() {
                        LogRead::End => panic!("{offset} is not the end of {size}"),
                        LogRead::Bytes(data) => {
                            prop_assert!(!data.is_empty() && data.len() <= most);
                            let end = offset + data.len() as u64;
                            let range = offset as usize..end as usize;
                            let expected: Option<Vec<u8>> = model.0[range].iter().copied().collect();
                            prop_assert_eq!(expected.as_deref(), Some(&data[..]));
                            end
                        }
                        LogRead::Gap { range, reason: GapReason::RunnerDropped } => {
                            prop_assert!(range.clone().all(|o| model.0[o as usize].is_none()));
                            range.end
                        }
                        LogRead::Gap { range, reason: GapReason::SizeLimit } => {
                            prop_assert!(!range.clone().any(kept));
                            range.end
                        }
                        gap => panic!("{gap:?}"),
                    };
                    prop_assert!(end > offset && end <= size);
                    offset = end;
                }
            }
        }
    }
}

/// Readers at the very bytes that are overwritten next.
#[test]
fn a_reader_never_gets_the_bytes_of_another_offset() {
    const RING: u64 = 4_096;
    const SIZE: u64 = 16 * 1024 * 1024;
    let (_directory, log) = log(2 * RING);
    let is_over = AtomicBool::new(false);
    let outcomes = [AtomicU64::new(0), AtomicU64::new(0)];
    let read_on = || {
        while !is_over.load(Ordering::Relaxed) {
            let size = *log.size.borrow();
            let offset = size.saturating_sub(RING);
            match log.read(offset, size, 1_000).unwrap() {
                LogRead::Bytes(data) => {
                    let end = offset + data.len() as u64;
                    assert!(data == bytes(offset, end), "at {offset} of {size}");
                    outcomes[0].fetch_add(1, Ordering::Relaxed);
                }
                LogRead::Gap { reason, .. } => {
                    assert_eq!(reason, GapReason::SizeLimit);
                    outcomes[1].fetch_add(1, Ordering::Relaxed);
                }
                LogRead::End => assert_eq!(size, 0),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(read_on);
        }
        let step = 1_000;
        for offset in (0..SIZE).step_by(step) {
            let data = bytes(offset, offset + step as u64);
            log.append(offset, 0, &data).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    // Both happen by the thousand; without either, this has shown nothing.
    let [right, overtaken] = outcomes.map(AtomicU64::into_inner);
    assert!(right > 0 && overtaken > 0, "{right} and {overtaken}");
}

fn key(job: u128) -> LogKey {
    LogKey {
        job_id: JobId(Uuid::from_u128(job)),
        run: RunKey {
            stage: 0,
            attempt: 1,
        },
    }
}

async fn append(logs: &FileLogs, key: LogKey, size: usize) {
    let data = Bytes::from(vec![7; size]);
    logs.append(key, logs.size(key), 0, data).await.unwrap();
}

fn files(root: &Path) -> Vec<u128> {
    let mut jobs: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("0-1.log").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().parse::<Uuid>())
        .map(|id| id.unwrap().as_u128())
        .collect();
    jobs.sort_unstable();
    jobs
}

#[tokio::test]
async fn the_logs_that_ended_first_make_room_for_newer_ones() {
    let directory = tempfile::tempdir().unwrap();
    let limits = LogLimits {
        of_a_log: 100,
        in_total: 250,
    };
    let logs = FileLogs::new(directory.path().to_owned(), limits).unwrap();
    for job in [1, 2, 3] {
        append(&logs, key(job), 80).await;
    }
    // Ended in another order than they began; the third goes on.
    logs.close(key(2)).await;
    logs.close(key(1)).await;
    assert_eq!(files(directory.path()), [1, 2, 3]);
    append(&logs, key(4), 90).await;
    assert_eq!(files(directory.path()), [1, 3, 4]);
    assert_eq!(logs.total.bytes.load(Ordering::Relaxed), 250);
    // What it has overwritten takes no room: 100 bytes are kept of it.
    append(&logs, key(4), 900).await;
    assert_eq!(files(directory.path()), [3, 4]);
    // Whoever is left is still written to.
    append(&logs, key(5), 90).await;
    assert_eq!(files(directory.path()), [3, 4, 5]);
    // The end of one is enough for it to go.
    logs.close(key(4)).await;
    assert_eq!(files(directory.path()), [3, 5]);
    assert_eq!(logs.total.bytes.load(Ordering::Relaxed), 170);

    // An expired log has its size, and nothing else.
    assert_eq!(logs.size(key(2)), 80);
    let read = logs.read(key(2), 10, 80, 100).await.unwrap();
    assert_eq!(read, gap(10, 80, GapReason::Expired));
    logs.remove(key(3).job_id).await.unwrap();
    assert_eq!(logs.total.bytes.load(Ordering::Relaxed), 90);
}

#[tokio::test]
async fn an_ended_log_keeps_no_files_open_and_takes_nothing_more() {
    let directory = tempfile::tempdir().unwrap();
    let logs = FileLogs::new(directory.path().to_owned(), UNLIMITED).unwrap();
    append(&logs, key(1), 10).await;
    let open = || {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap();
        let paths = descriptors.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        let ours = paths.filter(|path| path.starts_with(directory.path()));
        ours.filter(|path| !path.ends_with(".lock")).count()
    };
    assert_eq!(open(), 1);
    logs.close(key(1)).await;
    assert_eq!(open(), 0);
    let refused = logs.append(key(1), 10, 0, Bytes::from_static(b"x")).await;
    assert!(matches!(refused, Err(AppendError::Ended)));
    let read = logs.read(key(1), 0, 10, 100).await.unwrap();
    assert_eq!(read, LogRead::Bytes(vec![7; 10].into()));
    assert_eq!(open(), 0);
}

#[test]
fn a_directory_is_for_one_service_and_what_it_left_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let old = Uuid::from_u128(1).to_string();
    let kept = ["notes", "0000", &old.replace('-', "")];
    for name in [&old[..]].iter().chain(&kept) {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("0-1.log"), "old").unwrap();
    }
    // No directory, whatever its name.
    let file = root.join(Uuid::from_u128(2).to_string());
    fs::write(&file, "").unwrap();

    let logs = FileLogs::new(root.to_owned(), UNLIMITED).unwrap();
    assert!(!root.join(&old).exists());
    assert!(
        kept.iter()
            .all(|name| root.join(name).join("0-1.log").exists())
    );
    assert!(file.exists());

    let refused = FileLogs::new(root.to_owned(), UNLIMITED).err().unwrap();
    assert!(refused.to_string().contains("another service"), "{refused}");
    drop(logs);
    assert!(FileLogs::new(root.to_owned(), UNLIMITED).is_ok());
}

#[tokio::test]
async fn what_is_kept_is_for_the_service_alone() {
    use std::os::unix::fs::PermissionsExt;

    let root = TempDir::new().unwrap();
    let logs = FileLogs::new(root.path().to_owned(), UNLIMITED).unwrap();
    let (job_id, run) = (
        JobId(Uuid::from_u128(1)),
        RunKey {
            stage: 0,
            attempt: 1,
        },
    );
    let hello = Bytes::from_static(b"hello");
    logs.append(LogKey { job_id, run }, 0, 0, hello)
        .await
        .unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let job = root.path().join(job_id.to_string());
    assert_eq!(mode(&job), 0o700);
    for file in fs::read_dir(job).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}
