use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use super::log;
use crate::blobs::logs::{GapReason, LogRead, conformance::bytes};

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
