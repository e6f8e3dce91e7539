//! What every backend of [`Store`] must do. A backend passes the whole suite: it
//! calls `conformance::suite!(factory)` in its tests. The factory opens a new
//! store, and reopens one as the next process does after the end of the previous
//! one.

pub(crate) mod answers;
pub(crate) mod commits;
pub(crate) mod crashes;
pub(crate) mod due;
pub(crate) mod jobs;
pub(crate) mod leases;
pub(crate) mod offers;
mod picture;
pub(crate) mod pipelines;
pub(crate) mod preconditions;
pub(crate) mod presence;
pub(crate) mod queue;
pub(crate) mod records;
mod runner_steps;
pub(crate) mod runners;
mod scene;
pub(crate) mod subscribers;
pub(crate) mod usage;
pub(crate) mod workspaces;
pub(in crate::store) mod world;

use std::{ops::Deref, sync::Arc};

use async_trait::async_trait;

use super::Store;
use picture::picture;

/// Runs each rule twice: on a store that stays open, and on one that is reopened
/// wherever the rule says so.
macro_rules! suite {
    ($factory:expr) => {
        $crate::store::conformance::suite!($factory;
            answers:
                an_answer_is_kept_once
                old_answers_go
                answers_refer
                an_old_answer_is_not_valid_and_can_be_removed;
            commits:
                a_commit_is_all_or_nothing
                one_stale_write_rejects_the_whole_batch
                a_batch_of_many_scopes_changes_all_of_them
                a_batch_is_remembered_by_its_id
                concurrent_commits_lose_nothing
                batches_with_crossed_scopes_do_not_deadlock;
            crashes:
                work_continues_after_a_crash_between_any_two_calls;
            due:
                work_is_claimed_when_it_is_due
                work_with_an_expired_claim_is_claimed_again
                writes_of_work_are_fenced
                work_is_added_once
                work_with_an_order_key_is_done_in_order;
            subscribers:
                a_subscriber_is_notified_of_each_commit_once
                a_subscriber_is_notified_of_what_no_batch_changed
                a_dropped_commit_notifies_if_it_was_made;
            jobs:
                a_conflict_is_found_for_jobs
                jobs_are_active_in_order_until_they_end
                events_are_read_from_any_sequence
                jobs_are_listed_by_state
                ended_jobs_expire_oldest_first
                facts_outlive_their_jobs;
            leases:
                a_lease_is_confirmed_renewed_and_ended
                a_lease_that_runs_out_is_void_until_it_is_settled
                the_end_of_a_stage_is_not_moved_by_renewals
                writes_under_an_old_token_are_conflicts
                what_is_released_is_offered_again
                an_end_is_remembered_for_a_while;
            offers:
                two_claimers_never_get_the_same_stage
                an_offered_job_can_be_read
                tokens_only_increase
                a_repeated_request_gets_its_lease_again
                a_runner_gets_no_more_than_it_can_hold
                an_unregistered_runner_gets_nothing;
            pipelines:
                a_conflict_is_found_for_pipelines
                a_name_belongs_to_one_pipeline
                revisions_stay_as_they_were
                revisions_beyond_the_limit_stay_with_their_jobs
                pipelines_are_listed_newest_first
                pipelines_with_held_jobs_are_found
                durations_are_those_of_the_newest_job_that_succeeded;
            preconditions:
                a_precondition_must_hold
                a_project_is_empty_without_pipelines_and_jobs
                no_pipeline_is_created_in_a_deleted_project;
            presence:
                a_stage_waits_for_what_is_missing
                silent_runners_are_those_with_bindings;
            queue:
                ready_stages_are_offered_in_order_of_rank
                labels_decide_what_a_runner_gets
                what_is_no_longer_ready_is_not_offered
                stages_of_a_job_go_to_the_runner_that_has_its_workspace
                a_bound_stage_that_is_cancelled_is_not_offered;
            records:
                a_record_has_versions
                records_are_listed_in_order
                records_are_listed_by_an_index
                expired_records_are_removed;
            runners:
                a_session_replaces_the_previous_one
                a_drained_runner_gets_only_what_is_bound_to_it
                runners_are_listed_and_forgotten
                a_runner_is_its_principals
                a_runner_that_has_left_is_not_there
                leases_are_taken_over_by_the_next_process;
            usage:
                what_is_kept_is_counted_until_it_goes
                counters_do_not_drift
                what_revisions_share_weighs_once
                what_two_batches_remove_is_subtracted_once
                a_batch_keeps_to_its_limits
                ended_jobs_are_evicted_in_order
                old_revisions_are_forgotten;
            workspaces:
                a_job_has_a_workspace_once_a_stage_was_started
                a_stage_that_is_returned_leaves_no_workspace
                a_lost_workspace_is_remembered_while_the_job_is_active
                a_job_is_unbound_only_from_an_idle_runner
                jobs_are_gone_for_a_runner_that_lost_them;
        );
    };
    ($factory:expr; $($module:ident: $($rule:ident)+;)+) => {
        mod live {
            use super::*;
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $rule() {
                    use $crate::store::conformance::{self, Tested};
                    conformance::$module::$rule(Tested::open($factory, false).await).await;
                }
            )+)+
        }
        mod reopened {
            use super::*;
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $rule() {
                    use $crate::store::conformance::{self, Tested};
                    conformance::$module::$rule(Tested::open($factory, true).await).await;
                }
            )+)+
        }
    };
}
pub(crate) use suite;

/// Creates stores of one backend.
#[async_trait]
pub(crate) trait Factory: Send + Sync + 'static {
    /// A new store.
    async fn open(&self) -> Arc<dyn Store>;

    /// Reopens a store as the next process does after the end of the one that used it.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
}

/// The store under test.
pub(crate) struct Tested {
    store: Arc<dyn Store>,
    factory: Arc<dyn Factory>,
    is_reopened: bool,
}

impl Tested {
    pub(crate) async fn open(factory: impl Factory, is_reopened: bool) -> Self {
        Self {
            store: factory.open().await,
            factory: Arc::new(factory),
            is_reopened,
        }
    }

    /// A point at which the process may end and the next one start.
    async fn reopen(&mut self) {
        if self.is_reopened {
            self.crash().await;
        }
    }

    /// The process ends here, and the next one must find all the data of this one.
    async fn crash(&mut self) {
        let before = picture(&**self).await;
        self.store = self.factory.reopen(Arc::clone(&self.store)).await;
        let after = picture(&**self).await;
        assert_same(&before, &after);
    }

    /// A handle for another task.
    fn shared(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
}

impl Deref for Tested {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

/// Shows only the first line that differs, as there are many lines.
fn assert_same(before: &str, after: &str) {
    for (before, after) in before.lines().zip(after.lines()) {
        assert_eq!(before, after, "it was not the same after a reopen");
    }
    assert_eq!(before.lines().count(), after.lines().count());
}
