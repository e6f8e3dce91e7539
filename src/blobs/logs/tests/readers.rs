use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::poll;
use tokio::time::timeout;

use super::{Files, UNLIMITED, log};
use crate::blobs::logs::{
    Durability, GapReason, LogRead,
    conformance::{Reopen, bytes, key, stored},
    file_logs::MAX_CONCURRENT_READS,
};

/// Readers of the bytes that are removed next.
#[test]
fn a_reader_never_gets_the_bytes_of_another_offset() {
    const LIMIT: u64 = 8_192;
    const SIZE: u64 = 4 * 1024 * 1024;
    let (_directory, log) = log(LIMIT);
    let is_over = AtomicBool::new(false);
    let outcomes = [AtomicU64::new(0), AtomicU64::new(0)];
    let read_on = |behind: u64| {
        while !is_over.load(Ordering::Relaxed) {
            let size = *log.size.borrow();
            let offset = size.saturating_sub(behind);
            match log.read(offset, size, 1_000).unwrap() {
                LogRead::Bytes(data) => {
                    let end = offset + data.len() as u64;
                    assert!(data == bytes(offset..end), "at {offset} of {size}");
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
        for behind in [LIMIT / 2 - LIMIT / 8, LIMIT / 2 - 100, LIMIT / 4] {
            scope.spawn(move || read_on(behind));
        }
        let step = 1_000;
        for offset in (0..SIZE).step_by(step) {
            let data = bytes(offset..offset + step as u64);
            log.append(offset, 0, &data, 0).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    // Unless both occurred, the test has shown nothing.
    let [right, overtaken] = outcomes.map(AtomicU64::into_inner);
    assert!(right > 0 && overtaken > 0, "{right} and {overtaken}");
}

/// As a response stream, whose client does not read on, leaves its read.
#[tokio::test(start_paused = true)]
async fn reads_that_are_not_polled_block_no_other() {
    let logs = Files::new(Durability::Process).open(UNLIMITED);
    let (key, data) = (key(1), Bytes::from(bytes(0..10)));
    logs.append(key, 0, 0, data).await.unwrap();
    let read = || logs.read(key, 0, 10, 10);
    let mut stalled: Vec<_> = (0..=MAX_CONCURRENT_READS).map(|_| read()).collect();
    for read in &mut stalled {
        assert!(poll!(read).is_pending());
    }
    let read = timeout(Duration::from_secs(60), read()).await;
    assert_eq!(read.expect("a turn").unwrap(), stored(0..10));
}
