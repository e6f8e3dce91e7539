//! `golden/` has one file for each form and each kind of event: bytes that exist in
//! stores already.
//!
//! With `UPDATE_GOLDEN=1` the test writes missing files. It never overwrites one:
//! if a file no longer matches, the form has changed and values stored earlier
//! would be misread.

use std::{collections::BTreeSet, env, fmt::Debug, fmt::Write, fs, path::PathBuf};

use super::{only, samples};
use crate::{
    domain::{
        ActionKind, ConcurrencyPolicy, FailureReason, JobState, RunCondition, SkipReason,
        StageState, StageType, TriggerSource,
    },
    store::codec::{
        CodecError, Stored, Unsealed, decode, decode_event, decode_pipeline, decode_snapshot,
        encode, encode_event, encode_pipeline, encode_snapshot, primitives::Numbered,
    },
};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/store/codec/golden")
}

/// The bytes of a golden file; `expected` for a missing one that may be written.
pub(super) fn golden(name: &str, expected: &[u8]) -> Vec<u8> {
    let path = directory().join(name).with_extension("hex");
    if !path.exists() && env::var("UPDATE_GOLDEN").is_ok_and(|update| update == "1") {
        fs::write(&path, to_hex(expected)).unwrap();
    }
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{name}: {error}; UPDATE_GOLDEN=1 writes a missing one"));
    from_hex(&text)
}

fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

struct Forms(BTreeSet<String>);

impl Forms {
    fn pin<T: Debug + PartialEq>(
        &mut self,
        name: &str,
        value: &T,
        encoded: Vec<u8>,
        decode: impl Fn(&[u8]) -> Result<T, CodecError>,
    ) {
        let stored = golden(name, &encoded);
        assert_eq!(decode(&stored).as_ref().unwrap(), value, "{name}");
        assert_eq!(to_hex(&encoded), to_hex(&stored), "{name}");
        self.0.insert(format!("{name}.hex"));
    }

    fn pin_stored<T: Stored + Debug + PartialEq>(&mut self, name: &str, value: &T) {
        self.pin(name, value, encode(value), decode::<T>);
    }
}

#[test]
fn every_form_matches_its_golden_file() {
    let mut forms = Forms(BTreeSet::new());
    let pipeline = samples::pipeline();
    let revisions = only(&pipeline);
    let encoded = encode_pipeline(&pipeline, &Unsealed);
    forms.pin("pipeline-revision", &*pipeline, encoded, |stored| {
        decode_pipeline(stored, &Unsealed)
    });
    for (name, event) in samples::events() {
        let encoded = encode_event(&event, &Unsealed);
        forms.pin(name, &event, encoded, |stored| {
            decode_event(stored, &Unsealed, &revisions)
        });
    }
    let job = samples::job();
    let encoded = encode_snapshot(&job, &Unsealed);
    forms.pin("job-snapshot", &job, encoded, |stored| {
        decode_snapshot(stored, &Unsealed, &revisions)
    });
    for (name, answer) in samples::answers() {
        forms.pin_stored(name, &answer);
    }
    forms.pin_stored("pipeline-head", &samples::head());
    forms.pin_stored("project", &samples::project());
    forms.pin_stored("dead-letter", &samples::dead_letter());
    forms.pin_stored("job-facts", &samples::facts());
    forms.pin_stored("record", &samples::record());
    forms.pin_stored("due-row", &samples::due());
    forms.pin_stored("record-indexed", &samples::indexed_record());
    forms.pin_stored("pipeline-head-forgotten", &samples::head_with_forgotten());
    forms.pin_stored("record-owned", &samples::owned_record());
    forms.pin_stored("due-row-again", &samples::due_again());
    forms.pin_stored("offer", &samples::offer());
    forms.pin_stored("binding", &samples::binding());
    forms.pin_stored("runner", &samples::runner());
    for (name, row) in samples::leases() {
        forms.pin_stored(name, &row);
    }
    forms.pin_stored("instance", &samples::instance());
    forms.pin_stored("stage-durations", &samples::durations());
    forms.pin_stored("data-key", &samples::data_key());
    forms.pin_stored("lost-workspace", &samples::lost_workspace());

    let files = fs::read_dir(directory()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let others: Vec<String> = files
        .filter(|file| !file.starts_with("damaged-") && !forms.0.contains(file))
        .collect();
    assert_eq!(others, [""; 0], "golden files that no test reads");
}

#[test]
fn the_stored_numbers_of_enums_have_not_changed() {
    fn numbers<T: Numbered>(values: impl IntoIterator<Item = T>) -> Vec<i32> {
        values.into_iter().map(Numbered::number).collect()
    }
    use {SkipReason as Skip, StageState as State};
    assert_eq!(numbers(JobState::ALL), [1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(ActionKind::ALL), [1]);
    assert_eq!(numbers([TriggerSource::Api, TriggerSource::Retry]), [1, 2]);
    let types = [StageType::Run, StageType::Build, StageType::Deploy];
    assert_eq!(numbers(types), [1, 2, 3]);
    let conditions = [
        RunCondition::OnSuccess,
        RunCondition::OnFailure,
        RunCondition::Always,
    ];
    assert_eq!(numbers(conditions), [1, 2, 3]);
    let policies = [
        ConcurrencyPolicy::Allow,
        ConcurrencyPolicy::Queue,
        ConcurrencyPolicy::CancelRunning,
    ];
    assert_eq!(numbers(policies), [1, 2, 3]);
    let states = [
        State::Pending,
        State::Queued,
        State::Running,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
        State::Skipped(Skip::NeedsFailed),
        State::Skipped(Skip::Condition),
        State::Skipped(Skip::Cancelled),
    ];
    assert_eq!(numbers(states), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let reasons = [
        FailureReason::CommandFailed,
        FailureReason::TimedOut,
        FailureReason::CheckoutFailed,
        FailureReason::RunnerError,
        FailureReason::RunnerLost,
    ];
    assert_eq!(numbers(reasons), [1, 2, 3, 4, 5]);
}

#[test]
fn the_facts_of_a_job_take_about_100_bytes() {
    let size = encode(&samples::facts()).len();
    assert!(size <= 130, "{size}");
}
