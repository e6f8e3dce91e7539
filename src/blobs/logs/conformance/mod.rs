//! The rules of every log store, checked live and after it was reopened.

mod limits;
mod model;
mod rules;
mod world;

pub(super) use limits::*;
pub(super) use model::*;
pub(super) use rules::*;
pub(super) use world::{Reopen, World, bytes, gap, key, range_of, stored};

/// Checks a store against all rules: one test each. Takes an expression that creates a
/// [`Reopen`] with no logs in it.
macro_rules! log_store_conformance {
    ($empty:expr) => {
        log_store_conformance!(@each $empty;
            what_was_appended_is_read_at_any_offset,
            a_gap_is_explicit_and_a_hole_is_refused,
            past_its_limit_a_log_keeps_both_ends,
            one_append_may_be_larger_than_all_that_is_kept,
            a_log_of_nothing_but_gaps_stays_small,
            an_ended_log_takes_nothing_more,
            a_subscriber_is_told_of_every_size,
            a_synced_log_has_its_size_after_a_reopen,
            an_append_goes_on_after_a_reopen,
            the_logs_that_ended_first_make_room_for_newer_ones,
            what_was_found_makes_room_too,
            removed_jobs_are_gone_and_the_others_are_listed,
            times_tell_when_bytes_came,
            any_history_reads_as_in_a_simple_model,
        );
    };
    (@each $empty:expr; $($rule:ident,)*) => {
        $(#[test]
        fn $rule() {
            $crate::blobs::logs::conformance::$rule(Box::new($empty));
        })*
    };
}
pub(super) use log_store_conformance;
