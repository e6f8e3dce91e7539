//! Plants bugs, one at a time: the seeds of the test must find each of them.

use crate::store::{DiskBug, double::Bug};

use super::{SEEDS, machine::Planted, play};

fn is_found(planted: Planted, invariants: &[&str]) {
    let found = (0..SEEDS).find_map(|seed| play(seed, Some(planted)).result.err());
    let found = found.unwrap_or_else(|| panic!("{planted:?} was not found"));
    let is_expected = invariants
        .iter()
        .any(|invariant| found.starts_with(invariant));
    assert!(is_expected, "{planted:?}: {found}");
}

#[test]
fn an_early_acknowledgement_is_found() {
    let bug = Planted::OnDisk(DiskBug::EarlyAcknowledgement);
    is_found(bug, &["I1", "I2", "I6"]);
}

#[test]
fn state_that_is_shown_before_it_is_durable_is_found() {
    is_found(Planted::InStore(Bug::ShownEarly), &["I1", "I2"]);
}

#[test]
fn an_answer_outside_the_batch_is_found() {
    is_found(Planted::InStore(Bug::AnswerOutside), &["I6"]);
}

#[test]
fn tokens_that_are_forgotten_in_a_crash_are_found() {
    is_found(Planted::OnDisk(DiskBug::ForgottenTokens), &["I4"]);
}

#[test]
fn a_lost_notification_is_found() {
    is_found(Planted::InStore(Bug::LostNotification), &["I3"]);
}

#[test]
fn a_claim_without_a_lease_row_is_found() {
    is_found(Planted::InStore(Bug::NoLeaseRow), &["I3"]);
}
