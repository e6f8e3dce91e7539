use crate::domain::{FencingToken, LostWorkspace, Outcome};

use super::{
    super::{Batch, LeaseWrite, Write},
    Tested,
    runner_steps::*,
    world::*,
};

/// A job with parallel stages of these labels, and runner 1.
async fn with_job(store: &Tested, labels: &[&[(&str, &str)]]) {
    let p = stored(store, &parallel(1, labels)).await;
    add_job(store, new_job(&p, 10, 0, at(1))).await;
    register(store, runner(1, &[])).await;
}

fn lost(runner: u128, before: FencingToken) -> LostWorkspace {
    LostWorkspace {
        runner_id: runner_id(runner),
        offer: offer(&[]),
        before,
    }
}

fn lose(job: u128, lost: &LostWorkspace) -> Batch {
    Batch::of([Write::Lease(LeaseWrite::LoseWorkspace {
        job_id: job_id(job),
        lost: lost.clone(),
    })])
}

async fn bound_runners(store: &Tested, job: u128) -> Vec<u128> {
    let bound = store.bindings(job_id(job)).await.unwrap();
    bound.iter().map(|(id, _)| id.0.as_u128()).collect()
}

pub(crate) async fn a_job_has_a_workspace_once_a_stage_was_started(mut store: Tested) {
    with_job(&store, &[&[], &[], &[], &[]]).await;
    let first = lease(&store, 1).await.unwrap();
    let second = lease(&store, 1).await.unwrap();
    assert!(!first.workspace_exists && !second.workspace_exists);
    begin(&store, &second).await;
    store.reopen().await;
    let third = lease(&store, 1).await.unwrap();
    assert!(third.workspace_exists);
    // The workspace outlives the stage that created it, until it is lost.
    complete(&store, &second, Outcome::Succeeded).await;
    store.reopen().await;
    let fourth = lease(&store, 1).await.unwrap();
    assert!(fourth.workspace_exists);
    let before = store.next_token().await.unwrap();
    store.commit(lose(10, &lost(1, before))).await.unwrap();
    store.release(fourth.id, fourth.token).await.unwrap();
    store.reopen().await;
    let fresh = lease(&store, 1).await.unwrap();
    assert!(!fresh.workspace_exists);
    assert_eq!(fresh.stage, fourth.stage);
}

pub(crate) async fn a_stage_that_is_returned_leaves_no_workspace(mut store: Tested) {
    with_job(&store, &[&[], &[]]).await;
    let first = lease(&store, 1).await.unwrap();
    let second = lease(&store, 1).await.unwrap();
    begin(&store, &first).await;
    complete(&store, &first, Outcome::Returned).await;
    store.reopen().await;
    // The other lease may still create a workspace.
    assert_eq!(bound_runners(&store, 10).await, [1]);
    let again = lease(&store, 1).await.unwrap();
    assert!(!again.workspace_exists);
    begin(&store, &again).await;
    begin(&store, &second).await;
    complete(&store, &second, Outcome::Returned).await;
    store.reopen().await;
    let last = lease(&store, 1).await.unwrap();
    assert!(last.workspace_exists, "the other stage made it");
    store.release(last.id, last.token).await.unwrap();
    complete(&store, &again, Outcome::Returned).await;
    store.reopen().await;
    assert_eq!(bound_runners(&store, 10).await, [0u128; 0]);
    assert_eq!(take(&store, 2, &[]).await, Some(nth(10, 0)));
}

pub(crate) async fn a_lost_workspace_is_remembered_while_the_job_is_active(mut store: Tested) {
    with_job(&store, &[&[], &[], &[]]).await;
    let row = lease(&store, 1).await.unwrap();
    begin(&store, &row).await;
    assert_eq!(take(&store, 2, &[]).await, None);
    let (one, two) = (lost(1, FencingToken(row.token.0 + 1)), lost(2, row.token));
    store.commit(lose(10, &one)).await.unwrap();
    store.reopen().await;
    store.commit(lose(10, &two)).await.unwrap();
    store.commit(lose(10, &one)).await.unwrap();
    store.reopen().await;
    let kept = store.lost_workspaces(job_id(10)).await.unwrap();
    assert_eq!(kept, [one.clone(), two]);
    assert_eq!(bound_runners(&store, 10).await, [0u128; 0]);
    assert_eq!(take(&store, 2, &[]).await, Some(nth(10, 1)));

    // In the same batch as the job's end, and after it, there is nothing to remember.
    let cancelled = decided(&*job(&store, job_id(10)).await, cancel(), at(2));
    store.commit(job_batch(cancelled)).await.unwrap();
    complete(&store, &row, Outcome::Cancelled).await;
    store.reopen().await;
    assert_eq!(store.lost_workspaces(job_id(10)).await.unwrap(), []);
    store.commit(lose(10, &one)).await.unwrap();
    store.commit(lose(99, &one)).await.unwrap();
    for number in [10, 99] {
        let kept = store.lost_workspaces(job_id(number)).await.unwrap();
        assert_eq!(kept, []);
    }
}

pub(crate) async fn a_job_is_unbound_only_from_an_idle_runner(mut store: Tested) {
    with_job(&store, &[&[], &[]]).await;
    let row = lease(&store, 1).await.unwrap();
    let unbind = async |store: &Tested| {
        store.unbind(job_id(10), runner_id(1)).await.unwrap();
        !bound_runners(store, 10).await.is_empty()
    };
    assert!(unbind(&store).await, "it has a lease");
    begin(&store, &row).await;
    complete(&store, &row, Outcome::Succeeded).await;
    store.reopen().await;
    assert!(unbind(&store).await, "it has a workspace");
    let before = store.next_token().await.unwrap();
    store.commit(lose(10, &lost(1, before))).await.unwrap();
    // A void lease does not count.
    lease(&store, 1).await.unwrap();
    store.due_leases(at(OFFERED_UNTIL)).await.unwrap();
    store.reopen().await;
    assert!(!unbind(&store).await);
}

pub(crate) async fn jobs_are_gone_for_a_runner_that_lost_them(mut store: Tested) {
    with_job(&store, &[&[], &[]]).await;
    let row = lease(&store, 1).await.unwrap();
    begin(&store, &row).await;
    let gone = async |store: &Tested, runner| {
        let held = [job_id(10), job_id(99)];
        let gone = store.gone_jobs(runner_id(runner), &held).await.unwrap();
        gone.iter().map(|id| id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(gone(&store, 1).await, [99]);
    let before = store.next_token().await.unwrap();
    store.commit(lose(10, &lost(1, before))).await.unwrap();
    store.reopen().await;
    assert_eq!(gone(&store, 1).await, [10, 99]);
    assert_eq!(gone(&store, 2).await, [99], "it did not lose it");
    // The runner takes the job up again.
    let again = lease(&store, 1).await.unwrap();
    store.reopen().await;
    assert_eq!(gone(&store, 1).await, [99]);
    begin(&store, &again).await;
    complete(&store, &again, Outcome::Succeeded).await;
    assert_eq!(gone(&store, 1).await, [99]);
    complete(&store, &row, Outcome::Succeeded).await;
    store.reopen().await;
    assert_eq!(gone(&store, 1).await, [10, 99], "it is over");
}
