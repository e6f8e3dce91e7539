use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;

use crate::proto::{self, v1};

/// Messages that are cached for the next reader of the same range. Watchers that
/// keep up all share one; the others are for those that join or lag behind.
const KEPT: usize = 4;

/// Events, encoded one behind the other: any consecutive events are already the
/// content of a message.
#[derive(Default)]
pub(super) struct Segment {
    entries: Vec<u8>,
    /// Offset of the end of each event's entry.
    ends: Vec<usize>,
    /// The most recent messages, by their range of events.
    messages: VecDeque<(Range<usize>, Bytes)>,
}

/// Consecutive events.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Batch {
    /// An encoded `WatchJobResponse`, shared by all readers of the same range.
    pub(in crate::engine) message: Bytes,
    /// Sequence of the last of them.
    pub(in crate::engine) last_sequence: i64,
}

impl Segment {
    pub(super) fn last_sequence(&self) -> i64 {
        sequence(self.ends.len())
    }

    /// Adds the next event.
    pub(super) fn push(&mut self, event: &v1::JobEvent) {
        proto::write_entry(event, &mut self.entries);
        self.ends.push(self.entries.len());
    }

    /// Events after a sequence: at least one if there is one, and no more than fit into
    /// `most_bytes`.
    pub(super) fn after(&mut self, seen: i64, most_bytes: usize) -> Option<Batch> {
        let seen = usize::try_from(seen).unwrap_or(0);
        if seen >= self.ends.len() {
            return None;
        }
        let bound = self.start(seen) + most_bytes;
        let fit = self.ends[seen + 1..].partition_point(|end| *end <= bound);
        let events = seen..seen + 1 + fit;
        Some(Batch {
            last_sequence: sequence(events.end),
            message: self.message(events),
        })
    }

    fn message(&mut self, events: Range<usize>) -> Bytes {
        let known = self.messages.iter().find(|(of, _)| *of == events);
        if let Some((_, message)) = known {
            return message.clone();
        }
        let entries = &self.entries[self.start(events.start)..self.start(events.end)];
        let message = proto::batch_message(entries);
        self.messages.truncate(KEPT - 1);
        self.messages.push_front((events, message.clone()));
        message
    }

    /// Where the entry of the event at an index begins.
    fn start(&self, event: usize) -> usize {
        event.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

fn sequence(events: usize) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use v1::{job_event::Change, watch_job_response::Payload};

    use super::*;

    fn event(sequence: usize, size: usize) -> v1::JobEvent {
        let progressed = v1::StageProgressed {
            stage_name: "s".repeat(size),
            ..Default::default()
        };
        v1::JobEvent {
            sequence: i64::try_from(sequence).unwrap(),
            change: Some(Change::StageProgressed(progressed)),
            ..Default::default()
        }
    }

    fn segment(sizes: &[usize]) -> (Segment, Vec<v1::JobEvent>) {
        let events = sizes.iter().enumerate();
        let events: Vec<_> = events.map(|(at, size)| event(at + 1, *size)).collect();
        let mut segment = Segment::default();
        events.iter().for_each(|event| segment.push(event));
        (segment, events)
    }

    fn decode(message: &Bytes) -> v1::JobEventBatch {
        let response = v1::WatchJobResponse::decode(message.clone()).unwrap();
        match response.payload {
            Some(Payload::Events(batch)) => batch,
            other => panic!("{other:?} is no batch"),
        }
    }

    proptest! {
        /// A reader that joins anywhere and reads at any pace, among others and while
        /// events arrive, gets each event once, in messages of bounded size.
        #[test]
        fn every_reader_gets_every_event_once(
            sizes in prop::collection::vec(0..300_usize, 1..40),
            mut cursors in prop::collection::vec(0..45_usize, 1..8),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 1..900_usize), 0..80),
        ) {
            let (_, events) = segment(&sizes);
            let mut segment = Segment::default();
            let mut left = events.iter();
            let all = steps.iter().map(|(reader, most)| (reader.index(cursors.len()), *most));
            let rest = (0..cursors.len()).flat_map(|reader| vec![(reader, 500); sizes.len()]);
            let steps: Vec<_> = all.chain(rest).collect();
            for (reader, most) in steps {
                left.next().into_iter().for_each(|event| segment.push(event));
                let cursor = &mut cursors[reader];
                let batch = segment.after(sequence(*cursor), most);
                prop_assert_eq!(batch.is_some(), *cursor < segment.ends.len());
                let Some(batch) = batch else { continue };
                let end = usize::try_from(batch.last_sequence).unwrap();
                let got = decode(&batch.message);
                prop_assert_eq!(&got.events[..], &events[*cursor..end]);
                prop_assert!(got.encoded_len() <= most || got.events.len() == 1);
                *cursor = end;
            }
            left.for_each(|event| segment.push(event));
            for cursor in cursors {
                let batch = segment.after(sequence(cursor), usize::MAX / 2);
                let got = batch.map(|batch| decode(&batch.message).events);
                prop_assert_eq!(got.unwrap_or_default(), &events[cursor.min(events.len())..]);
            }
        }
    }

    #[test]
    fn a_message_is_as_full_as_allowed() {
        let (mut segment, events) = segment(&[10; 9]);
        let entry = segment.start(1);
        let lengths = [entry - 1, entry, 3 * entry - 1, 3 * entry, 99 * entry].map(|most| {
            let batch = segment.after(0, most).unwrap();
            decode(&batch.message).events.len()
        });
        assert_eq!(lengths, [1, 1, 2, 3, events.len()]);
    }

    #[test]
    fn readers_of_the_same_range_share_one_message() {
        let (mut segment, _) = segment(&[10; 9]);
        let mut taken = |seen| segment.after(seen, 1_000).unwrap().message;
        let first = taken(3);
        for other in [4, 5, 6] {
            assert_ne!(taken(other).as_ptr(), first.as_ptr());
        }
        assert_eq!(taken(3).as_ptr(), first.as_ptr());
    }
}
