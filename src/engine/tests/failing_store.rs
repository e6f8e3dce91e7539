//! What callers see of a failing store, and that nothing is half done.

use std::{pin::pin, time::Duration};

use futures_util::poll;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{
    domain::{ConcurrencyPolicy, JobId, Outcome, PipelineSpec, StageState},
    engine::{Error, LeaseError},
    store::double::{Bug, Unheard},
};

use super::world::{SECOND, TTL, World, caller, settle, spec};

fn one_stage() -> PipelineSpec {
    spec(&["s"], ConcurrencyPolicy::Allow)
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_reported_and_changes_nothing() {
    let world = World::new().await;
    world.store.broken(true);
    let failed = world.create(one_stage()).await;
    assert!(matches!(failed, Err(Error::Store(_))), "{failed:?}");
    world.store.broken(false);
    // The failed call did not reserve the name.
    let pipeline = world.create(one_stage()).await.unwrap();

    world.store.broken(true);
    let failed = world.trigger(pipeline.id).await;
    assert!(matches!(failed, Err(Error::Store(_))), "{failed:?}");
    world.store.broken(false);
    assert_eq!(world.trigger(pipeline.id).await.unwrap().number, 1);
}

#[tokio::test(start_paused = true)]
async fn overlapping_confirmations_count_as_one() {
    let world = World::new().await;
    let job = world.start(one_stage()).await;
    let runner = world.runner("first", 1).await;
    let proof = runner.take(SECOND).await.unwrap().proof;
    world.store.slow(Duration::from_millis(10));
    let (one, other) = tokio::join!(runner.renew(proof), runner.renew(proof));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    world.store.slow(Duration::ZERO);
    assert_eq!(world.states(job).await, [StageState::Running]);
    runner.renew(proof).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_late_confirmation_leaves_no_stage_without_a_lease() {
    let world = World::new().await;
    let job = world.start(one_stage()).await;
    let first = world.runner("first", 1).await;
    let second = world.runner("second", 1).await;
    let proof = first.take(SECOND).await.unwrap().proof;
    sleep(TTL / 2 - Duration::from_millis(500)).await;
    // In time when it arrives, and void when the start of the stage is committed.
    world.store.slow(Duration::from_millis(300));
    let confirmed = first.renew(proof).await;
    assert!(matches!(confirmed, Err(LeaseError::Lost)), "{confirmed:?}");
    world.store.slow(Duration::ZERO);
    second.started().await;
    assert_eq!(world.states(job).await.last(), Some(&StageState::Running));
}

#[tokio::test(start_paused = true)]
async fn a_claimed_stage_is_not_lost_when_the_store_fails() {
    let mut is_claimed = false;
    for calls in 0.. {
        let world = World::new().await;
        world.start(one_stage()).await;
        let runner = world.runner("first", 1).await;
        world.store.fail_after(calls);
        let asked = runner.ask(Uuid::new_v4(), SECOND).await;
        if world.store.has_yet_to_fail() {
            break;
        }
        assert!(
            matches!(asked, Err(LeaseError::Failed(_))),
            "{calls}: {asked:?}"
        );
        let again = Instant::now();
        let proof = runner.take(TTL).await.unwrap().proof;
        // An unconfirmed offer is released after half the lifetime of a lease.
        is_claimed |= again.elapsed() > SECOND;
        runner.renew(proof).await.unwrap();
    }
    assert!(is_claimed, "no failure came after the claim");
}

#[tokio::test(start_paused = true)]
async fn a_job_stays_with_the_runner_that_still_has_one_of_its_stages() {
    let world = World::new().await;
    let spec = PipelineSpec {
        parallel: true,
        ..spec(&["a", "b", "c"], ConcurrencyPolicy::Allow)
    };
    world.start(spec).await;
    let first = world.runner("first", 2).await;
    let second = world.runner("second", 2).await;
    first.take(SECOND).await.unwrap();
    sleep(TTL / 4).await;
    let later = first.take(SECOND).await.unwrap().proof;
    // The first one was never confirmed.
    sleep(TTL / 3).await;
    first.renew(later).await.unwrap();
    let elsewhere = second.take(2 * TTL);
    let none = timeout(TTL / 2, elsewhere).await;
    assert!(none.is_err(), "it has no workspace of the job: {none:?}");
}

#[tokio::test(start_paused = true)]
async fn a_commit_with_unknown_outcome_is_looked_up() {
    let world = World::new().await;
    let pipeline = world.create(one_stage()).await.unwrap();
    world.store.unknown_commit(Unheard::Done);
    let done = world.trigger(pipeline.id).await.unwrap();
    world.store.unknown_commit(Unheard::NotDone);
    let failed = world.trigger(pipeline.id).await;
    assert!(matches!(failed, Err(Error::Store(_))), "{failed:?}");
    // Neither was repeated.
    assert_eq!(jobs_of(&world).await, [done.id]);

    let runner = world.runner("first", 1).await;
    let proof = runner.started().await.proof;
    world.store.unknown_commit(Unheard::NotDone);
    let failed = runner.complete(proof, Outcome::Succeeded).await;
    assert!(matches!(failed, Err(LeaseError::Failed(_))), "{failed:?}");
    assert_eq!(world.states(done.id).await, [StageState::Running]);
    world.store.unknown_commit(Unheard::Done);
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    assert_eq!(world.states(done.id).await, [StageState::Succeeded]);
}

async fn jobs_of(world: &World) -> Vec<JobId> {
    let jobs = world.engine.jobs();
    let listed = jobs.list(&caller(), Default::default(), None, 10).await;
    listed.unwrap().iter().map(|job| job.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_always_conflicts_fails_as_contended() {
    let world = World::new().await;
    let pipeline = world.create(one_stage()).await.unwrap();
    let job = world.trigger(pipeline.id).await.unwrap();
    let runner = world.runner("first", 1).await;
    let lease = runner.take(SECOND).await.unwrap();
    world.store.conflicts(true);
    let call = caller();
    let results = [
        world.trigger(pipeline.id).await.map(drop),
        world
            .engine
            .jobs()
            .cancel(&call, job.id, String::new())
            .await
            .map(drop),
        world
            .engine
            .pipelines()
            .delete(&call, pipeline.id, "", true)
            .await,
    ];
    for result in results {
        assert!(matches!(result, Err(Error::Contended)), "{result:?}");
    }
    let renewed = runner.renew(lease.proof).await;
    assert!(matches!(renewed, Err(LeaseError::Failed(_))), "{renewed:?}");
    world.store.conflicts(false);
    runner.renew(lease.proof).await.unwrap();
}

/// As a response stream, whose client does not read on, leaves its watch.
#[tokio::test(start_paused = true)]
async fn watches_that_are_not_polled_block_no_other() {
    let world = World::new().await;
    let job = world.start(one_stage()).await;
    let (call, jobs) = (caller(), world.engine.jobs());
    let watch = async || jobs.watch(&call, job, Some(0)).await.unwrap().1;
    let (mut reading, mut queued, mut other) = (watch().await, watch().await, watch().await);
    world.runner("first", 1).await.started().await;
    settle().await;
    world.store.slow(SECOND);
    let (mut reading, mut queued) = (pin!(reading.take()), pin!(queued.take()));
    assert!(poll!(&mut reading).is_pending() && poll!(&mut queued).is_pending());
    let taken = timeout(TTL, other.take()).await.expect("a turn").unwrap();
    assert!(taken.is_some());
    assert_eq!(other.cursor(), world.job(job).await.last_sequence);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_the_store_delayed_comes_later() {
    let world = World::new().await;
    turn_is_given_later(&world).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_turn_without_a_notification_is_found_on_a_busy_service() {
    let world = World::new().await;
    let queue = |name: &str| PipelineSpec {
        name: name.to_owned(),
        ..spec(&["s"], ConcurrencyPolicy::Queue)
    };
    let forgotten = world.create(queue("forgotten")).await.unwrap().id;
    world.trigger(forgotten).await.unwrap();
    let held = world.trigger(forgotten).await.unwrap().id;
    let proof = world.runner("first", 1).await.started().await.proof;
    let runner = world.runner("second", 1).await;
    // The sweep of the start is over.
    settle().await;
    world.store.plant(Some(Bug::LostNotification));
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    world.store.plant(None);
    // More frequent work than one item between two sweeps.
    let busy = world.create(queue("busy")).await.unwrap().id;
    for _ in 0..10 {
        world.trigger(busy).await.unwrap();
        sleep(20 * SECOND).await;
    }
    assert_eq!(world.states(held).await, [StageState::Queued]);
}

/// The store fails as the turn of a job comes, and recovers: the job starts without
/// any further event.
pub(super) async fn turn_is_given_later(world: &World) -> Result<(), String> {
    let pipeline = world.create(spec(&["s"], ConcurrencyPolicy::Queue)).await;
    let pipeline = pipeline.unwrap().id;
    world.trigger(pipeline).await.unwrap();
    let held = world.trigger(pipeline).await.unwrap().id;
    let runner = world.runner("first", 1).await;
    let proof = runner.started().await.proof;
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    // Nothing has run since the commit.
    world.store.broken(true);
    settle().await;
    world.store.broken(false);
    if world.states(held).await != [StageState::Pending] {
        return Err("the store did not fail in time".to_owned());
    }
    // No longer than the pause after a failure, and less than the time between two
    // sweeps.
    sleep(10 * SECOND).await;
    match world.states(held).await[..] {
        [StageState::Queued] => Ok(()),
        ref states => Err(format!("the job waits for its turn: {states:?}")),
    }
}
