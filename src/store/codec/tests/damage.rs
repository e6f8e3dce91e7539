//! Values that cannot be decoded, each with the error that explains it.

use super::{golden::golden, only, samples};
use crate::store::codec::{
    CodecError, Kind, PipelineHead, Seal, Unsealed, decode, decode_event, decode_snapshot, encode,
    encode_event, encode_snapshot, envelope::envelope,
};

/// An event of sequence 200 with only a field 99, which no version has yet.
const UNKNOWN_CHANGE: &[u8] = &[0x08, 0xc8, 0x01, 0x9a, 0x06, 0x00];
/// The end of a job in state 99.
const UNKNOWN_STATE: &[u8] = &[0x08, 0xc8, 0x01, 0x52, 0x02, 0x08, 99];

fn started() -> Vec<u8> {
    let (_, event) = samples::events().swap_remove(2);
    encode_event(&event, &Unsealed)
}

fn event(format: u16, min_reader: u16, body: &[u8]) -> Vec<u8> {
    envelope(Kind::JobEvent as u8, format, min_reader, body)
}

fn check(name: &str, stored: &[u8], from_later_version: bool, message: &str) {
    let found = golden(&format!("damaged-{name}"), stored);
    assert_eq!(found, stored, "{name}");
    let error = decode_event(&found, &Unsealed, &|_, _| None).unwrap_err();
    assert_eq!(error.to_string(), message, "{name}");
    assert_eq!(error.is_from_later_version(), from_later_version, "{name}");
}

#[test]
fn each_kind_of_damage_has_its_own_error() {
    let whole = started();
    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    let message = "a stored JobEvent has the checksum ffbb79d4; expected 0b85af9c: it is damaged";
    check("checksum", &flipped, false, message);
    let message = "a stored value has 28 bytes of 29";
    check("truncated", &whole[..whole.len() - 1], false, message);
    check(
        "header",
        &whole[..5],
        false,
        "a stored value has 5 bytes of 13",
    );
    let longer = [&whole, &whole[..1]].concat();
    check(
        "too-long",
        &longer,
        false,
        "a stored value has 30 bytes where 29 were written",
    );
    check(
        "wrong-kind",
        &encode(&samples::head()),
        false,
        "a stored value is a PipelineHead; expected a JobEvent",
    );
    check(
        "body",
        &event(1, 1, &[0xff]),
        false,
        "the body of a stored JobEvent is no message",
    );
}

#[test]
fn a_value_of_a_later_version_is_not_reported_as_damage() {
    let message = "a stored JobEvent of format 3 takes a reader of format 2; this version reads \
                   up to 1";
    check(
        "future-min-reader",
        &event(3, 2, UNKNOWN_CHANGE),
        true,
        message,
    );
    let message = "event 200 of a job is a change that this version does not know";
    check(
        "unknown-change",
        &event(2, 1, UNKNOWN_CHANGE),
        true,
        message,
    );
    let message = "Ended.state is 99, which this version does not know";
    check("unknown-value", &event(2, 1, UNKNOWN_STATE), true, message);
    let message = "a stored value is of kind 200, which this version does not know; expected \
                   JobEvent";
    check("unknown-kind", &envelope(200, 1, 1, &[]), true, message);
}

#[test]
fn a_later_format_that_this_version_understands_is_read() {
    let head = samples::head();
    let mut body = encode(&head)[13..].to_vec();
    body.extend([0x9a, 0x06, 0x00]);
    let stored = envelope(Kind::PipelineHead as u8, 9, 1, &body);
    assert_eq!(decode::<PipelineHead>(&stored).unwrap(), head);
}

#[test]
fn every_flipped_bit_is_detected() {
    let stored = encode(&samples::head());
    for bit in 0..stored.len() * 8 {
        let mut flipped = stored.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode::<PipelineHead>(&flipped).is_err(), "bit {bit}");
    }
    for length in 0..stored.len() {
        let error = decode::<PipelineHead>(&stored[..length]).unwrap_err();
        assert!(matches!(error, CodecError::Truncated { .. }), "{error}");
    }
}

#[test]
fn a_job_whose_revision_is_missing_names_the_revision() {
    let stored = encode_snapshot(&samples::job(), &Unsealed);
    let error = decode_snapshot(&stored, &Unsealed, &|_, _| None).unwrap_err();
    assert!(matches!(
        error,
        CodecError::UnknownRevision { revision: 7, .. }
    ));
    assert!(!error.is_from_later_version());
}

/// A "cipher" whose output contains the `aad` that the secret was sealed under.
struct Bound;

impl Seal for Bound {
    fn seal(&self, aad: &str, plain: &[u8]) -> Vec<u8> {
        [aad.as_bytes(), &[0], plain].concat()
    }

    fn open(&self, aad: &str, sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        let prefix = [aad.as_bytes(), &[0]].concat();
        let plain = sealed.strip_prefix(prefix.as_slice());
        plain.map(<[u8]>::to_vec).ok_or_else(|| CodecError::Sealed {
            aad: aad.to_owned(),
            reason: "it is sealed under something else",
        })
    }
}

#[test]
fn secrets_are_sealed_under_their_owner() {
    let job = samples::job();
    let revisions = only(&job.pipeline);
    let stored = encode_snapshot(&job, &Bound);
    assert_eq!(decode_snapshot(&stored, &Bound, &revisions).unwrap(), job);
    let aad = format!("jobs/{}/PIN\0", job.id);
    let has = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    assert!(has(aad.as_bytes()));
    // The pipeline's secrets stay with the pipeline.
    assert!(!has(b"hunter2"));
    let error = decode_snapshot(&stored, &Unsealed, &revisions).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("/PIN") && !shown.contains("1234"), "{shown}");
}
