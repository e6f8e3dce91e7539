//! Counts the events that a watcher receives, without decoding them.

use prost::encoding::decode_varint;

/// `tag length` of a message's `JobEventBatch`, and of each event in that.
const EVENTS: u64 = 2 << 3 | 2;
const EVENT: u64 = 1 << 3 | 2;

/// Counts the events of one watcher.
#[derive(Default)]
pub(crate) struct Reader {
    received: Vec<u8>,
    has_begun: bool,
}

pub(crate) struct Counted {
    /// The data contains the watcher's first message.
    pub(crate) is_first: bool,
    pub(crate) events: u64,
}

impl Reader {
    /// Messages may begin and end anywhere in `data`.
    pub(crate) fn take(&mut self, data: &[u8]) -> Counted {
        self.received.extend_from_slice(data);
        let had_begun = self.has_begun;
        let (mut events, mut rest) = (0, &self.received[..]);
        while let Some(([_, length @ ..], after)) = rest.split_first_chunk::<5>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((message, after)) = after.split_at_checked(length) else {
                break;
            };
            events += count(message);
            self.has_begun = true;
            rest = after;
        }
        let left = rest.len();
        self.received.drain(..self.received.len() - left);
        Counted {
            is_first: self.has_begun && !had_begun,
            events,
        }
    }
}

/// The events in a `WatchJobResponse`.
fn count(message: &[u8]) -> u64 {
    let batches = fields(message).filter(|(tag, _)| *tag == EVENTS);
    let events = |(_, batch)| fields(batch).filter(|(tag, _)| *tag == EVENT).count() as u64;
    batches.map(events).sum()
}

/// The fields of a message that has only length-delimited fields.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let tag = decode_varint(&mut message).ok()?;
        let length = decode_varint(&mut message).expect("a length");
        let (field, rest) = message.split_at(usize::try_from(length).unwrap());
        message = rest;
        Some((tag, field))
    })
}
