//! Ships a stage's output to the service, as the bytes that were written.

use bytes::Bytes;

use super::{LeaseError, held_lease::HeldLease, mask::Masker, process::Output};

/// Most bytes of one append.
const BATCH: usize = 64 * 1024;

/// What became of a log.
#[derive(Debug)]
pub(super) struct Shipped {
    /// Bytes that the service has acknowledged.
    pub(super) size: u64,
    /// Why it was given up before its end.
    pub(super) failure: Option<LeaseError>,
}

/// Ships until the output's end, or until the service refuses for good.
///
/// Sends at once when idle. While an append is on its way the output gathers in the
/// pipe, and when that is full the writers wait: memory is bounded by one batch.
pub(super) async fn ship(lease: &HeldLease, mut output: Output, mut masker: Masker) -> Shipped {
    let mut buffer = vec![0; BATCH];
    let mut size = 0;
    loop {
        // Reading a pipe of our own does not fail; if it did, the log would end here.
        let read = output.read(&mut buffer).await.unwrap_or(0);
        // Offsets count what is stored, so secrets go out before anything is counted.
        let masked = match read {
            0 => masker.finish(),
            read => masker.push(&buffer[..read]).into_owned(),
        };
        for data in masked.chunks(BATCH) {
            let data = Bytes::copy_from_slice(data);
            let length = data.len() as u64;
            if let Err(failure) = lease.append(size, data).await {
                return Shipped {
                    size,
                    failure: Some(failure),
                };
            }
            size += length;
        }
        if read == 0 {
            return Shipped {
                size,
                failure: None,
            };
        }
    }
}
