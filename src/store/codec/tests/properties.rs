//! Every value round-trips through its form, and no bytes make a decoder panic.

use std::{fmt::Debug, sync::Arc};

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    arbitrary::{History, answer, due, facts, history, pipeline, record},
    only, samples,
};
use crate::{
    domain::{Event, Job, JobFacts, LostWorkspace, Offer, Pipeline},
    store::{
        KeptAnswer, LeaseRow, RunnerRow,
        codec::{
            PipelineHead, Stored, StoredBinding, StoredDataKey, StoredDue, StoredDurations,
            StoredInstance, StoredRecord, Unsealed, decode, decode_event, decode_pipeline,
            decode_snapshot, encode, encode_event, encode_pipeline, encode_snapshot,
            envelope::envelope,
        },
    },
};

fn round_trips<T: Stored + Debug + PartialEq>(value: &T) -> Result<(), TestCaseError> {
    prop_assert_eq!(&decode::<T>(&encode(value)).unwrap(), value);
    Ok(())
}

/// Events and job round-trip, and replaying the events still gives the job.
fn history_round_trips(history: &History) -> Result<(), TestCaseError> {
    let History { events, job } = history;
    let revisions = only(&job.pipeline);
    let read = |event: &Event| {
        let stored = encode_event(event, &Unsealed);
        decode_event(&stored, &Unsealed, &revisions).unwrap()
    };
    let read: Vec<Event> = events.iter().map(read).collect();
    prop_assert_eq!(&read, events);
    let stored = encode_snapshot(job, &Unsealed);
    let snapshot = decode_snapshot(&stored, &Unsealed, &revisions).unwrap();
    prop_assert_eq!(&snapshot, job);
    prop_assert_eq!(Job::replay(&read), Some(snapshot));
    prop_assert_eq!(JobFacts::of(job).is_some(), history.has_ended());
    Ok(())
}

/// Passes the bytes to every decoder; their results do not matter.
fn read_as_all(stored: &[u8], pipeline: &Arc<Pipeline>) {
    let revisions = |_, _| Some(Arc::clone(pipeline));
    let _ = decode_pipeline(stored, &Unsealed);
    let _ = decode_event(stored, &Unsealed, &revisions);
    let _ = decode_snapshot(stored, &Unsealed, &revisions);
    let _ = decode::<PipelineHead>(stored);
    let _ = decode::<KeptAnswer>(stored);
    let _ = decode::<crate::domain::Project>(stored);
    let _ = decode::<JobFacts>(stored);
    let _ = decode::<StoredRecord>(stored);
    let _ = decode::<StoredDue>(stored);
    let _ = decode::<Offer>(stored);
    let _ = decode::<LostWorkspace>(stored);
    let _ = decode::<StoredBinding>(stored);
    let _ = decode::<RunnerRow>(stored);
    let _ = decode::<LeaseRow>(stored);
    let _ = decode::<StoredInstance>(stored);
    let _ = decode::<StoredDurations>(stored);
    let _ = decode::<StoredDataKey>(stored);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_pipeline_round_trips(pipeline in pipeline()) {
        let stored = encode_pipeline(&pipeline, &Unsealed);
        prop_assert_eq!(&decode_pipeline(&stored, &Unsealed).unwrap(), &*pipeline);
    }

    #[test]
    fn a_job_and_its_retry_round_trip(history in history()) {
        history_round_trips(&history)?;
        if let Some(retried) = history.retried() {
            history_round_trips(&retried)?;
        }
    }

    #[test]
    fn all_other_forms_round_trip(
        answer in answer(), record in record(), due in due(), facts in facts(),
    ) {
        round_trips(&answer)?;
        round_trips(&record)?;
        round_trips(&due)?;
        round_trips(&facts)?;
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..200), kind in 0..20u8) {
        let pipeline = samples::pipeline();
        read_as_all(&bytes, &pipeline);
        read_as_all(&envelope(kind, 1, 1, &bytes), &pipeline);
    }

    #[test]
    fn no_change_of_a_body_makes_a_decoder_panic(
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let pipeline = samples::pipeline();
        let stored = [
            encode_pipeline(&pipeline, &Unsealed),
            encode_snapshot(&samples::job(), &Unsealed),
        ];
        let events = samples::events().into_iter();
        let events = events.map(|(_, event)| encode_event(&event, &Unsealed));
        for stored in stored.into_iter().chain(events) {
            let (header, body) = stored.split_at(13);
            let mut body = body.to_vec();
            for (index, byte) in &changes {
                let position = index.index(body.len());
                body[position] = *byte;
            }
            read_as_all(&envelope(header[0], 1, 1, &body), &pipeline);
        }
    }
}

#[test]
fn debug_output_omits_the_body() {
    let shown = format!("{:?} {:?}", samples::record(), samples::due());
    assert!(!shown.contains("any bytes"), "{shown}");
}
