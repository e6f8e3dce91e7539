//! Events that are encoded once for all who watch a job. The entries of a repeated field
//! may be put one behind the other, so events that follow each other make a
//! `JobEventBatch` wherever they are cut out.

use bytes::Bytes;
use prost::{Message, encode_length_delimiter, length_delimiter_len};

use super::v1;

/// What stands before an entry of `JobEventBatch.events`: field 1, with a length.
const ENTRY: u8 = 1 << 3 | 2;
/// What stands before `WatchJobResponse.events`: field 2, with a length.
const BATCH: u8 = 2 << 3 | 2;

/// Adds an event to an encoded `JobEventBatch`.
pub fn write_entry(event: &v1::JobEvent, batch: &mut Vec<u8>) {
    batch.push(ENTRY);
    event
        .encode_length_delimited(batch)
        .expect("a vector has room");
}

/// A `WatchJobResponse`, encoded, with an encoded `JobEventBatch`.
pub fn batch_message(batch: &[u8]) -> Bytes {
    let length = batch.len();
    let mut message = Vec::with_capacity(1 + length_delimiter_len(length) + length);
    message.push(BATCH);
    encode_length_delimiter(length, &mut message).expect("a vector has room");
    message.extend_from_slice(batch);
    message.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generated types say whether the tags are right.
    #[test]
    fn entries_in_a_message_are_what_the_contract_says() {
        let event = |sequence| v1::JobEvent {
            sequence,
            ..Default::default()
        };
        let events: Vec<_> = [1, 2, i64::MAX].map(event).into();
        let mut batch = Vec::new();
        events
            .iter()
            .for_each(|event| write_entry(event, &mut batch));
        let payload = v1::watch_job_response::Payload::Events(v1::JobEventBatch { events });
        let message = v1::WatchJobResponse {
            payload: Some(payload),
        };
        assert_eq!(batch_message(&batch), message.encode_to_vec());
    }
}
