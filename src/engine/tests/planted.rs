//! Plants bugs, one at a time, to verify that the checks find them: a check that
//! passes on everything is worthless.

use tokio::time::sleep;

use crate::{
    domain::{ConcurrencyPolicy, Outcome, RunCondition, Stage},
    engine::LeaseError,
    store::double::Bug,
};

use super::{
    dropped::{case, dropped_at_every_await},
    failing_store::turn_is_given_later,
    history::{Seen, check_history, recorded::play},
    reopen::tokens_go_up,
    world::{SECOND, TTL, World, caller, settle, spec, stage},
};

/// A check passes on the unchanged engine, and fails once a bug is planted.
async fn is_found(bug: Bug, check: impl AsyncFn(Option<Bug>) -> Result<(), String>) {
    check(None).await.unwrap();
    let found = check(Some(bug)).await;
    assert!(found.is_err(), "{bug:?} was not found");
}

async fn world_with(bug: Option<Bug>) -> World {
    let world = World::new().await;
    world.store.plant(bug);
    world
}

#[tokio::test(start_paused = true)]
async fn a_skipped_fence_check_is_found() {
    is_found(Bug::SkippedFence, async |bug| {
        old_writes_are_refused(&world_with(bug).await).await
    })
    .await;
}

/// I4: of two runners that have the same attempt, only the second one may write.
async fn old_writes_are_refused(world: &World) -> Result<(), String> {
    let job = world.start(spec(&["s"], ConcurrencyPolicy::Allow)).await;
    let first = world.runner("first", 1).await;
    let second = world.runner("second", 1).await;
    let old = first.take(SECOND).await.unwrap().proof;
    let new = second.started().await.proof;
    let mut seen = vec![accepted(old.token.0), accepted(new.token.0)];
    let answers = [
        first.renew(old).await.map(drop),
        first.append(old, 0, "old").await.map(drop),
        first.complete(old, Outcome::Succeeded).await,
    ];
    let is_refused = |answer: &Result<(), _>| matches!(answer, Err(LeaseError::Lost));
    let view = world.engine.jobs().get(&caller(), job).await.unwrap();
    if !answers.iter().all(is_refused) || view.stages[0].log.size > 0 {
        seen.push(accepted(old.token.0));
    }
    check_history(&seen, TTL)
}

fn accepted(token: i64) -> Seen {
    Seen::Accepted {
        stage: "s".to_owned(),
        token,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_notification_is_found() {
    for name in ["complete the last stage", "trigger", "cancel"] {
        is_found(Bug::LostNotification, async |bug| {
            dropped_at_every_await(case(name), |world| world.store.plant(bug)).await
        })
        .await;
    }
    is_found(Bug::LostNotification, async |bug| play(1, bug).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_follow_up_that_is_skipped_with_the_caller_is_found() {
    for name in ["complete the last stage", "trigger", "give a stage back"] {
        is_found(Bug::SkippedFollowUp, async |bug| {
            dropped_at_every_await(case(name), |world| world.store.plant(bug)).await
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_outside_the_batch_is_found() {
    for name in ["create a project", "trigger", "retry"] {
        is_found(Bug::AnswerOutside, async |bug| {
            dropped_at_every_await(case(name), |world| world.store.plant(bug)).await
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_lost_on_an_error_is_found() {
    is_found(Bug::LostTurn, async |bug| {
        turn_is_given_later(&world_with(bug).await).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn tokens_that_restart_are_found() {
    is_found(Bug::TokenReset, tokens_go_up).await;
}

#[tokio::test(start_paused = true)]
async fn expiry_by_a_skewed_clock_is_found() {
    is_found(Bug::SkewedClock, async |bug| {
        renewed_leases_live(&world_with(bug).await).await
    })
    .await;
}

async fn renewed_leases_live(world: &World) -> Result<(), String> {
    world.start(spec(&["s"], ConcurrencyPolicy::Allow)).await;
    let runner = world.runner("first", 1).await;
    let proof = runner.started().await.proof;
    for _ in 0..6 {
        sleep(TTL / 3).await;
        let renewed = runner.renew(proof).await;
        renewed.map_err(|error| format!("a lease was renewed in time: {error}"))?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_workspace_loss_is_found() {
    is_found(Bug::ForgottenLoss, async |bug| {
        the_rest_goes_elsewhere(&world_with(bug).await).await
    })
    .await;
}

/// The runner that has a job's workspace goes silent: stages that can run without
/// it do.
async fn the_rest_goes_elsewhere(world: &World) -> Result<(), String> {
    let always = Stage {
        run_condition: RunCondition::Always,
        ..stage("always")
    };
    let mut spec = spec(&["made", "used"], ConcurrencyPolicy::Allow);
    spec.stages = spec.stages.iter().cloned().chain([always]).collect();
    world.start(spec).await;
    let first = world.runner("first", 1).await;
    let proof = first.started().await.proof;
    first.complete(proof, Outcome::Succeeded).await.unwrap();
    settle().await;
    let second = world.runner("second", 1).await;
    match second.take(2 * TTL - SECOND).await {
        Some(lease) if lease.work.stage_name == "always" => Ok(()),
        other => Err(format!("the other runner has {other:?}")),
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_a_lease_row_is_found() {
    is_found(Bug::NoLeaseRow, async |bug| {
        unconfirmed_stages_are_offered_again(&world_with(bug).await).await
    })
    .await;
}

async fn unconfirmed_stages_are_offered_again(world: &World) -> Result<(), String> {
    world.start(spec(&["s"], ConcurrencyPolicy::Allow)).await;
    let first = world.runner("first", 1).await;
    let second = world.runner("second", 1).await;
    first.take(SECOND).await.ok_or("nothing was ready")?;
    let again = second.take(TTL).await;
    again
        .map(drop)
        .ok_or_else(|| "the stage is lost".to_owned())
}
