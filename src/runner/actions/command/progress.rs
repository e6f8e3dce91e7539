//! The progress of a stage, which its command writes to a file.

use std::{convert::Infallible, path::Path, time::Duration};

use nix::libc::O_NONBLOCK;
use tokio::{fs::OpenOptions, io::AsyncReadExt, time};

use crate::runner::leases::HeldLease;

/// Time between two reads of the file.
const INTERVAL: Duration = Duration::from_millis(500);
/// Bytes read of the file; numbers are shorter, so a longer text is no progress.
const MOST: u64 = 4 * 1024;

/// Reports each new number until the stage's future is dropped. A failed report is not
/// retried by itself: the next read of the file reports again.
pub(super) async fn report(lease: &HeldLease, file: &Path) -> Infallible {
    let mut reported = 0;
    loop {
        time::sleep(INTERVAL).await;
        if let Some(percent) = read(file).await
            && percent > reported
            && lease.progress(percent).await.is_ok()
        {
            reported = percent;
        }
    }
}

async fn read(file: &Path) -> Option<u8> {
    let mut text = String::new();
    // The command may have put a FIFO there: opening it could block a thread indefinitely.
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(O_NONBLOCK);
    let file = options.open(file).await.ok()?;
    file.take(MOST).read_to_string(&mut text).await.ok()?;
    percent(&text)
}

/// The last line that is a number from 0 to 100; fractions are cut off.
fn percent(text: &str) -> Option<u8> {
    let number = |line: &str| line.trim().parse::<f64>().ok();
    let last = text.lines().rev().find_map(number)?;
    // In range, so the cast cuts off nothing but the fraction.
    (0.0..=100.0).contains(&last).then_some(last as u8)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_fifo_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("progress");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let read = time::timeout(INTERVAL, read(&path)).await;
        // Unblocks a thread that waits for a writer.
        let mut options = OpenOptions::new();
        let _ = options
            .write(true)
            .custom_flags(O_NONBLOCK)
            .open(&path)
            .await;
        assert_eq!(read, Ok(None));
    }

    #[test]
    fn the_last_number_counts() {
        for (text, expected) in [
            ("", None),
            ("50", Some(50)),
            ("50\n", Some(50)),
            ("10\n20\n\n", Some(20)),
            (" 99.9 \n", Some(99)),
            ("100", Some(100)),
            ("20\nhalf", Some(20)),
            ("101", None),
            ("-1", None),
            ("NaN", None),
        ] {
            assert_eq!(percent(text), expected, "{text:?}");
        }
    }
}
