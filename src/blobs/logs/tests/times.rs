use std::{
    fs,
    time::{Duration, SystemTime},
};

use super::log;
use crate::blobs::logs::{WriteTime, log::Log};

const MILLISECOND: i64 = 1_000;

fn at(millis: u64, offset: u64) -> WriteTime {
    WriteTime {
        offset,
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(millis),
    }
}

fn append(log: &Log, offset: u64, millis: i64) {
    log.append(offset, 0, &[7; 10], millis * MILLISECOND)
        .unwrap();
}

#[test]
fn a_time_is_noted_for_a_write_but_not_within_100_ms() {
    let (_directory, log) = log(1_000);
    for (offset, millis) in [(0, 5), (10, 104), (20, 105), (30, 106), (40, 900)] {
        append(&log, offset, millis);
    }
    // Resent bytes keep their first time.
    log.append(0, 0, &[7; 50], 5_000 * MILLISECOND).unwrap();
    let all = [at(5, 0), at(105, 20), at(900, 40)];
    assert_eq!(log.times(0..50).unwrap(), all);
    assert_eq!(log.times(0..20).unwrap(), all[..1]);
    assert_eq!(log.times(20..50).unwrap(), all[1..]);
    assert_eq!(log.times(39..50).unwrap(), all[1..]);
    assert_eq!(log.times(99..100).unwrap(), all[2..]);
    // After the clock is set back, times continue from there.
    append(&log, 50, 300);
    append(&log, 60, 350);
    assert_eq!(log.times(50..99).unwrap(), [at(300, 50)]);
}

#[test]
fn their_number_is_bounded_and_they_reach_to_the_end() {
    let (directory, log) = log(1 << 20);
    let writes = 10_000;
    for write in 0..writes {
        append(&log, write * 10, (write * 100).cast_signed());
        if write % 500 == 0 {
            let length = fs::metadata(directory.path().join("0-1/times"));
            assert!(length.unwrap().len() <= 16 * (4_096 + (1 << 20) / 4_096));
        }
    }
    let times = log.times(0..writes * 10).unwrap();
    assert!(times.len() > 2_000, "{}", times.len());
    assert_eq!(times[0], at(0, 0));
    for pair in times.windows(2) {
        // Every second record was left out, at most twice.
        assert!(pair[0].offset < pair[1].offset && pair[1].offset <= pair[0].offset + 40);
    }
    assert!(times.last().unwrap().offset >= (writes - 8) * 10);
    assert!(
        times
            .iter()
            .all(|known| *known == at(known.offset * 10, known.offset))
    );
}

#[test]
fn a_record_that_was_torn_is_overwritten_and_one_that_makes_no_sense_is_left_out() {
    let (directory, log) = log(1_000);
    append(&log, 0, 1_000);
    let path = directory.path().join("0-1/times");
    let mut bytes = fs::read(&path).unwrap();
    // Zeros, as of a write that reached the disk by its length alone, and half a record.
    bytes.extend([0; 24]);
    fs::write(&path, bytes).unwrap();
    drop(log);
    let of_run = super::directory(directory.path());
    let layout = super::Layout::new(1_000);
    let (log, _) = Log::load(of_run, layout, std::sync::Arc::default()).unwrap();
    assert_eq!(log.resume(), None);
    append(&log, 10, 2_000);
    assert_eq!(fs::metadata(path).unwrap().len(), 48);
    let times = log.times(0..20).unwrap();
    assert_eq!(times.last(), Some(&at(2_000, 10)));
    assert_eq!(times.len(), 2);
}
