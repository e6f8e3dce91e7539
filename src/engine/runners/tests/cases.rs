//! What becomes of leases, case by case.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    domain::lease::{Completion, Directive, LeaseProof, LogAppend, Report},
    domain::{
        FailureReason, FencingToken, JobState, LeaseId, Outcome, PendingReason, RunCondition,
        Stage, StageState,
    },
    engine::{Clock, LeaseError, Leases, SystemClock},
    store::MemoryStore,
};

use super::world::{Runner, SECOND, TTL, World, stage};

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_confirmed_goes_to_another_runner() {
    let world = World::new().await;
    let (first, second) = (world.runner(1).await, world.runner(1).await);
    let job = world.trigger(vec![stage("s")], false).await;
    let given = Instant::now();
    let lost = first.take(SECOND).await.unwrap();
    let lease = second.take(TTL).await.unwrap();
    assert_eq!(given.elapsed().as_secs(), 15, "half a lease's life");
    assert_eq!(
        lease.work.attempt, 1,
        "what was not started counts as no attempt"
    );
    assert!(lease.proof.token > lost.proof.token);
    first.all_writes_are_refused(lost.proof).await;
    second.renew(lease.proof).await.unwrap();
    assert_eq!(world.runs(job).await, [(1, StageState::Running)]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_runs_out_is_lost_and_the_stage_has_another_attempt() {
    let world = World::new().await;
    let (first, second) = (world.runner(1).await, world.runner(1).await);
    let job = world.trigger(vec![stage("s")], false).await;
    let lost = first.started(SECOND).await;
    // Renewed, it lives on.
    for _ in 0..5 {
        sleep(TTL - SECOND).await;
        first.renew(lost.proof).await.unwrap();
    }
    let last_renewal = Instant::now();
    let lease = second.take(TTL + SECOND).await.unwrap();
    assert_eq!(last_renewal.elapsed(), TTL);
    assert_eq!(lease.work.attempt, 2);
    assert!(lease.proof.token > lost.proof.token);
    first.all_writes_are_refused(lost.proof).await;
    second.renew(lease.proof).await.unwrap();
    second
        .complete(lease.proof, Outcome::Succeeded)
        .await
        .unwrap();
    let ended = world.job(job).await;
    assert_eq!(ended.state, JobState::Succeeded);
    let reason = ended.stage_runs[0].failure.as_ref().unwrap().reason;
    assert_eq!(reason, FailureReason::RunnerLost);
}

#[tokio::test(start_paused = true)]
async fn holding_the_answer_back_does_not_lengthen_a_lease() {
    let world = World::new().await;
    let (first, second) = (world.runner(1).await, world.runner(1).await);
    world.trigger(vec![stage("s")], false).await;
    let lost = first.started(SECOND).await;
    let sent = Instant::now();
    let none = Report::default();
    let leases = world.leases();
    let held = leases.renew(lost.proof, none, Directive::Continue, TTL);
    assert_eq!(held.await.unwrap().ttl, TTL);
    assert_eq!(
        sent.elapsed(),
        TTL / 3,
        "no longer than a third of its life"
    );
    second.take(TTL).await.unwrap();
    assert_eq!(sent.elapsed(), TTL);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_do_no_harm() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    world.trigger(vec![stage("s")], false).await;
    world.trigger(vec![stage("s")], false).await;
    let request_id = Uuid::new_v4();
    let lease = runner.ask(request_id, SECOND).await.unwrap().unwrap();
    let again = runner.ask(request_id, SECOND).await.unwrap().unwrap();
    assert_eq!(again.proof, lease.proof);
    assert!(again.ttl <= lease.ttl);
    // No more than its capacity, whatever it asks.
    assert!(runner.take(SECOND).await.is_none());
    runner.renew(lease.proof).await.unwrap();
    for _ in 0..3 {
        runner
            .complete(lease.proof, Outcome::Succeeded)
            .await
            .unwrap();
    }
    // The slot is free, and the lease that has ended is not given out again.
    let next = runner.ask(request_id, SECOND).await.unwrap().unwrap();
    assert_ne!(next.proof.lease_id, lease.proof.lease_id);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_refused() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    world.trigger(vec![stage("s")], false).await;
    let LeaseProof { lease_id, token } = runner.started(SECOND).await.proof;
    for proof in [
        LeaseProof {
            lease_id,
            token: FencingToken(token.0 - 1),
        },
        LeaseProof {
            lease_id,
            token: FencingToken(token.0 + 1),
        },
        LeaseProof {
            lease_id: LeaseId(Uuid::new_v4()),
            token,
        },
    ] {
        runner.all_writes_are_refused(proof).await;
    }
    runner.renew(LeaseProof { lease_id, token }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restarted_runner_starts_from_nothing() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    let lost = world.trigger(vec![stage("s")], false).await;
    let lease = runner.started(SECOND).await;
    let before = Instant::now();
    let again = runner.restarted().await;
    assert_eq!(again.id, runner.id);
    let next = again.take(SECOND).await.unwrap();
    assert!(before.elapsed() < SECOND, "not only after the lease's life");
    assert_eq!(next.work.attempt, 2);
    assert!(!next.work.workspace_exists);
    runner.all_writes_are_refused(lease.proof).await;
    let refused = runner.ask(Uuid::new_v4(), SECOND).await;
    assert!(matches!(refused, Err(LeaseError::Unregistered)));
    assert_eq!(world.runs(lost).await[0].1, StageState::Failed);
}

#[tokio::test(start_paused = true)]
async fn stages_follow_their_workspace_and_fail_when_it_is_gone() {
    let world = World::new().await;
    let (first, second) = (world.runner(1).await, world.runner(1).await);
    let told = Stage {
        run_condition: RunCondition::OnFailure,
        ..stage("told")
    };
    let job = world
        .trigger(vec![stage("made"), stage("used"), told], false)
        .await;
    let lease = first.started(SECOND).await;
    assert!(!lease.work.workspace_exists);
    first
        .complete(lease.proof, Outcome::Succeeded)
        .await
        .unwrap();
    // The other runner may not have it, although it asks first.
    assert!(second.take(SECOND).await.is_none());
    assert_eq!(world.pending_reason(job).await, Some(PendingReason::Needs));
    // The first runner falls silent; what rests on its workspace cannot run any more.
    let lease = second.take(Duration::from_secs(50)).await.unwrap();
    assert_eq!(lease.work.stage_name, "told");
    assert!(!lease.work.workspace_exists);
    let runs = world.runs(job).await;
    assert_eq!(runs[1], (1, StageState::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_workspace_that_the_runner_does_not_have_is_given_up() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    let job = world
        .trigger(vec![stage("made"), stage("used")], false)
        .await;
    let lease = runner.started(SECOND).await;
    runner
        .complete(lease.proof, Outcome::Succeeded)
        .await
        .unwrap();
    let lease = runner.started(SECOND).await;
    assert!(lease.work.workspace_exists);
    runner
        .complete(lease.proof, Outcome::Returned)
        .await
        .unwrap();
    assert!(runner.take(SECOND).await.is_none());
    let ended = world.job(job).await;
    assert_eq!(
        ended.failure.as_ref().unwrap().reason,
        FailureReason::RunnerLost
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_is_taken_from_whoever_gets_a_returned_stage() {
    let world = World::new().await;
    world.trigger(vec![stage("s")], false).await;
    let runner = world.runner(1).await;
    let lease = runner.started(SECOND).await;
    runner
        .complete(lease.proof, Outcome::Returned)
        .await
        .unwrap();
    let lease = world.runner(1).await.started(SECOND).await;
    let append = LogAppend {
        offset: 0,
        dropped: 0,
        data: Bytes::from_static(b"x"),
    };
    let appended = world.leases().append_log(lease.proof, append).await;
    assert_eq!(appended.unwrap().committed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_log_is_not_taken_before_the_lease_is_confirmed() {
    let world = World::new().await;
    world.trigger(vec![stage("s")], false).await;
    let (first, second) = (world.runner(1).await, world.runner(1).await);
    let append = |data: &'static [u8]| LogAppend {
        offset: 0,
        dropped: 0,
        data: Bytes::from_static(data),
    };
    let early = first.take(SECOND).await.unwrap().proof;
    let leases = world.leases();
    let appended = leases.append_log(early, append(b"early")).await;
    assert!(matches!(appended, Err(LeaseError::Lost)), "{appended:?}");
    // The other one has the same attempt, and its log begins with its own bytes.
    let lease = second.started(TTL).await;
    let appended = leases.append_log(lease.proof, append(b"x")).await;
    assert_eq!(appended.unwrap().committed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_was_started_cannot_be_returned() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    let job = world.trigger(vec![stage("s")], false).await;
    let lease = runner.started(SECOND).await;
    let append = LogAppend {
        offset: 0,
        dropped: 0,
        data: Bytes::from_static(b"x"),
    };
    let appended = world.leases().append_log(lease.proof, append).await;
    assert_eq!(appended.unwrap().committed, 1);
    let short = runner.complete(lease.proof, Outcome::Returned).await;
    assert!(matches!(short, Err(LeaseError::Hole { committed: 1 })));
    let returned = Completion {
        outcome: Outcome::Returned,
        exit_code: None,
        message: String::new(),
        log_size: 1,
        log_incomplete: false,
        commit_id: None,
    };
    let completed = world.leases().complete(lease.proof, returned).await;
    completed.unwrap();
    let ended = world.job(job).await;
    let reason = ended.failure.as_ref().unwrap().reason;
    assert_eq!(reason, FailureReason::RunnerError);
}

#[tokio::test(start_paused = true)]
async fn a_stage_ends_by_the_services_own_deadline() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    let job = world.trigger(vec![stage("s")], false).await;
    let lease = runner.started(SECOND).await;
    let started = Instant::now();
    while runner.renew(lease.proof).await.is_ok() {
        sleep(SECOND).await;
    }
    // The timeout, the grace, and five seconds to tell.
    assert_eq!(started.elapsed().as_secs(), 600 + 10 + 5);
    sleep(SECOND).await;
    let ended = world.job(job).await;
    assert_eq!(
        ended.failure.as_ref().unwrap().reason,
        FailureReason::TimedOut
    );
    runner.all_writes_are_refused(lease.proof).await;
}

#[tokio::test(start_paused = true)]
async fn a_drained_runner_gets_no_new_job_and_ends_those_it_has() {
    let world = World::new().await;
    let runner = world.runner(2).await;
    let stages = vec![stage("first"), stage("rest")];
    let begun = world.trigger(stages, false).await;
    let lease = runner.started(SECOND).await;
    let view = world.engine.runners().drain(runner.id, true).await.unwrap();
    assert!(view.is_draining && view.is_online);
    assert_eq!(view.stages.len(), 1);
    let waiting = world.trigger(vec![stage("s")], false).await;
    assert!(runner.take(SECOND).await.is_none());
    let reason = world.pending_reason(waiting).await;
    assert_eq!(reason, Some(PendingReason::NoMatchingRunner));
    runner
        .complete(lease.proof, Outcome::Succeeded)
        .await
        .unwrap();
    // What it has begun it brings to an end: the workspace is there and nowhere else.
    let rest = runner.started(SECOND).await;
    assert_eq!((rest.work.job_id, &*rest.work.stage_name), (begun, "rest"));
    runner
        .complete(rest.proof, Outcome::Succeeded)
        .await
        .unwrap();
    let waits = tokio::spawn({
        let runner = runner.clone();
        async move { runner.take(TTL).await }
    });
    tokio::task::yield_now().await;
    let resumed = Instant::now();
    world
        .engine
        .runners()
        .drain(runner.id, false)
        .await
        .unwrap();
    assert!(waits.await.unwrap().is_some());
    assert!(resumed.elapsed() < SECOND, "woken, not by a tick");
    let reason = world.pending_reason(waiting).await;
    assert_eq!(reason, Some(PendingReason::RunnersBusy));
}

#[tokio::test(start_paused = true)]
async fn a_silent_runner_is_not_counted_on() {
    let world = World::new().await;
    let runner = world.runner(1).await;
    let job = world.trigger(vec![stage("s")], false).await;
    let reason = async || world.pending_reason(job).await;
    assert_eq!(reason().await, Some(PendingReason::RunnersBusy));
    sleep(TTL + SECOND).await;
    assert_eq!(reason().await, Some(PendingReason::NoMatchingRunner));
    let view = world.engine.runners().get(runner.id).await.unwrap();
    assert!(!view.is_online);
    // One that waits for work is there, however long that takes.
    let other = world.runner(1).await;
    let first = other.started(SECOND).await;
    other
        .complete(first.proof, Outcome::Succeeded)
        .await
        .unwrap();
    let waits = tokio::spawn(async move { other.take(Duration::from_secs(50)).await });
    sleep(TTL + SECOND).await;
    let online = world.engine.runners().list(None, 10).await.unwrap();
    assert_eq!(online.iter().filter(|view| view.is_online).count(), 1);
    drop(waits);
    sleep(Duration::from_secs(2 * 60 * 60)).await;
    assert!(
        world
            .engine
            .runners()
            .list(None, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_comes_back_counts_its_own_calls() {
    let world = World::new().await;
    let mut runner = world.runner(1).await;
    let ask = |runner: &Runner| {
        let runner = runner.clone();
        Box::pin(async move { runner.take(TTL).await })
    };
    let mut earlier = ask(&runner);
    assert!(is_pending(&mut earlier).await);
    // Another process takes its place for a moment, and the call is not answered yet.
    runner.restarted().await;
    runner.register(1, Some(runner.id)).await;
    let mut later = ask(&runner);
    assert!(is_pending(&mut later).await);
    drop(earlier);
    sleep(TTL + SECOND).await;
    let is_online = async || {
        world
            .engine
            .runners()
            .get(runner.id)
            .await
            .unwrap()
            .is_online
    };
    assert!(is_online().await, "a call of it waits");
    drop(later);
    sleep(TTL + SECOND).await;
    assert!(!is_online().await);
}

/// Whether a future is pending after one poll.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    tokio::time::timeout(Duration::ZERO, future).await.is_err()
}

/// The wall clock, and how far it was set forward or back.
#[derive(Default)]
struct SetClock(parking_lot::Mutex<(Duration, Duration)>);

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        let (forward, back) = *self.0.lock();
        SystemClock.now() + forward - back
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_expires_no_lease_and_keeps_none() {
    let hour = Duration::from_secs(3600);
    for set in [(hour, Duration::ZERO), (Duration::ZERO, hour)] {
        let clock = Arc::new(SetClock::default());
        let store = Arc::new(MemoryStore::default());
        let world = World::with_clock(store, Arc::clone(&clock) as _).await;
        let (first, second) = (world.runner(1).await, world.runner(1).await);
        let job = world.trigger(vec![stage("s")], false).await;
        let lease = first.started(SECOND).await;
        *clock.0.lock() = set;
        sleep(TTL - SECOND).await;
        first.renew(lease.proof).await.unwrap();
        let renewed = Instant::now();
        let again = second.take(TTL + SECOND).await.unwrap();
        assert_eq!(renewed.elapsed(), TTL, "no sooner and no later");
        assert_eq!(again.work.attempt, 2);
        let runs = world.job(job).await.stage_runs.clone();
        assert!(runs[0].start_time <= runs[0].end_time);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_registers_again_without_its_id_is_the_same_runner() {
    let world = World::new().await;
    let mut runner = world.runner(1).await;
    let first = runner.id;
    // The answer was lost, so it does not know its id yet.
    runner.register(1, None).await;
    assert_eq!(runner.id, first);
    assert_eq!(
        world.engine.runners().list(None, 10).await.unwrap().len(),
        1
    );
}
