//! A service that ends at any moment, and another one that continues with its
//! store.

use tokio::time::sleep;

use crate::{
    domain::{
        ConcurrencyPolicy, JobId, JobState, Outcome, PipelineSpec, SkipReason, Stage, StageState,
        StageType,
    },
    engine::LeaseError,
    store::{Lifetime, double::Bug},
};

use super::world::{SECOND, TTL, World, caller, repeatable, settle, spec, stage, trigger_of};

fn stages(names: &[&str]) -> PipelineSpec {
    spec(names, ConcurrencyPolicy::Allow)
}

#[tokio::test(start_paused = true)]
async fn a_stage_of_a_remote_runner_continues_under_its_lease() {
    let world = World::new().await;
    let job = world.start(stages(&["s"])).await;
    let runner = world.runner("remote", 1).await;
    let proof = runner.started().await.proof;
    runner.append(proof, 0, "one\n").await.unwrap();
    sleep(TTL - SECOND).await;

    let world = world.reopened().await;
    let runner = runner.at(&world);
    // The lease lives as long as a new one, whatever time it had left.
    sleep(TTL - SECOND).await;
    runner.renew(proof).await.unwrap();
    let appended = runner.append(proof, 4, "two\n").await.unwrap();
    assert_eq!(appended.committed, 8);
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    assert_eq!(world.states(job).await, [StageState::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_remote_runner_that_does_not_come_back_is_lost_in_time() {
    let world = World::new().await;
    let job = world.start(stages(&["s"])).await;
    world.runner("remote", 1).await.started().await;
    let world = world.reopened().await;
    sleep(TTL - SECOND).await;
    assert_eq!(world.states(job).await, [StageState::Running]);
    sleep(2 * SECOND).await;
    let again = [StageState::Failed, StageState::Queued];
    assert_eq!(world.states(job).await, again);
}

#[tokio::test(start_paused = true)]
async fn stages_of_the_embedded_runner_are_lost_with_it() {
    let world = World::new().await;
    let deploy = Stage {
        stage_type: StageType::Deploy,
        ..stage("deploy")
    };
    let deploy = PipelineSpec {
        stages: [deploy].into_iter().collect(),
        ..stages(&[])
    };
    let stranded = world.start(stages(&["made", "used"])).await;
    let embedded = world.runner_of("", "embedded", 3).await;
    let made = embedded.started().await.proof;
    embedded.complete(made, Outcome::Succeeded).await.unwrap();
    let deployed = world.start(deploy).await;
    let plain = world.start(stages(&["s"])).await;
    // The rest of the first job comes first, and is not taken.
    embedded.take(SECOND).await.unwrap();
    let proofs = [
        embedded.started().await.proof,
        embedded.started().await.proof,
    ];

    let world = world.reopened().await;
    settle().await;
    let lost = [StageState::Failed, StageState::Queued];
    assert_eq!(world.states(plain).await, lost);
    assert_eq!(world.states(deployed).await, [StageState::Failed]);
    let without_workspace = [StageState::Succeeded, StageState::Failed];
    assert_eq!(world.states(stranded).await, without_workspace);
    for proof in proofs {
        let refused = embedded.at(&world).renew(proof).await;
        assert!(matches!(refused, Err(LeaseError::Lost)), "{refused:?}");
    }
    let lease = world.runner("remote", 1).await.started().await;
    assert_eq!((lease.work.job_id, lease.work.attempt), (plain, 2));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_a_crash_delayed_comes_after_the_restart() {
    let world = World::new().await;
    let (first, held) = with_held_job(&world, "p").await;
    let runner = world.runner("remote", 1).await;
    let proof = runner.started().await.proof;
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    // Nothing has run since the commit.
    let world = world.reopened().await;
    settle().await;
    assert_eq!(world.states(first).await, [StageState::Succeeded]);
    assert_eq!(world.states(held).await, [StageState::Queued]);
}

/// A job of a new pipeline, and one that waits for its end.
async fn with_held_job(world: &World, name: &str) -> (JobId, JobId) {
    let spec = PipelineSpec {
        name: name.to_owned(),
        ..spec(&["s"], ConcurrencyPolicy::Queue)
    };
    let pipeline = world.create(spec).await.unwrap().id;
    let first = world.trigger(pipeline).await.unwrap().id;
    (first, world.trigger(pipeline).await.unwrap().id)
}

#[tokio::test(start_paused = true)]
async fn a_waiting_job_still_waits_for_its_turn_after_a_restart() {
    let world = World::new().await;
    let (_, held) = with_held_job(&world, "p").await;
    let runner = world.runner("remote", 1).await;
    let proof = runner.started().await.proof;
    let world = world.reopened().await;
    settle().await;
    assert_eq!(world.states(held).await, [StageState::Pending]);
    let runner = runner.at(&world);
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    let lease = runner.take(SECOND).await.unwrap();
    assert_eq!(lease.work.job_id, held);
}

#[tokio::test(start_paused = true)]
async fn a_drained_runner_stays_drained() {
    let world = World::new().await;
    let runner = world.runner("remote", 1).await;
    let id = runner.id.unwrap();
    world.engine.runners().drain(id, true).await.unwrap();
    let world = world.reopened().await;
    world.start(stages(&["s"])).await;
    assert!(world.engine.runners().get(id).await.unwrap().is_draining);
    assert!(runner.at(&world).take(SECOND).await.is_none());
    world.engine.runners().drain(id, false).await.unwrap();
    assert!(runner.at(&world).take(SECOND).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_call_has_the_same_response_after_a_restart() {
    let world = World::new().await;
    let pipeline = world.create(stages(&["s"])).await.unwrap().id;
    let call = repeatable();
    let jobs = world.engine.jobs();
    let first = jobs.trigger(&call, trigger_of(pipeline)).await.unwrap();
    let runner = world.runner("remote", 1).await;
    runner.started().await;
    let world = world.reopened().await;
    let jobs = world.engine.jobs();
    let again = jobs.trigger(&call, trigger_of(pipeline)).await.unwrap();
    assert_eq!(
        (again.id, again.last_sequence),
        (first.id, first.last_sequence)
    );
    assert_eq!(again.state, first.state);
    let all = jobs.list(&caller(), Default::default(), None, 10).await;
    assert_eq!(all.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stage_may_be_reported_again_after_a_restart() {
    let world = World::new().await;
    let job = world.start(stages(&["s"])).await;
    let runner = world.runner("remote", 1).await;
    let proof = runner.started().await.proof;
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    let world = world.reopened().await;
    let runner = runner.at(&world);
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    assert_eq!(world.job(job).await.state, JobState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn stages_that_need_a_lost_workspace_fail_after_a_restart() {
    let world = World::new().await;
    let job = world.start(stages(&["made", "used"])).await;
    let runner = world.runner("remote", 1).await;
    let proof = runner.started().await.proof;
    runner.complete(proof, Outcome::Succeeded).await.unwrap();
    runner.restarted().register().await.unwrap();
    // Nothing has run since the workspace was lost.
    let world = world.reopened().await;
    let other = world.runner("other", 1).await;
    assert!(other.take(SECOND).await.is_none());
    let failed = [StageState::Succeeded, StageState::Failed];
    assert_eq!(world.states(job).await, failed);
}

#[tokio::test(start_paused = true)]
async fn tokens_after_a_restart_are_greater() {
    tokens_go_up(None).await.unwrap();
}

pub(super) async fn tokens_go_up(bug: Option<Bug>) -> Result<(), String> {
    let world = World::new().await;
    world.start(stages(&["s"])).await;
    let runner = world.runner("remote", 2).await;
    let before = runner.started().await.proof.token;
    let world = world.reopened().await;
    world.store.plant(bug);
    world.start(stages(&["s"])).await;
    let after = runner.at(&world).take(SECOND).await;
    let after = after.ok_or("nothing was ready")?.proof.token;
    if after > before {
        return Ok(());
    }
    Err(format!("the token {after:?} comes after {before:?}"))
}

#[tokio::test(start_paused = true)]
async fn the_effect_of_a_stop_on_jobs_depends_on_the_lifetime_of_the_store() {
    let ends = [
        (Lifetime::Durable, StageState::Queued, JobState::Queued),
        (
            Lifetime::Process,
            StageState::Skipped(SkipReason::Cancelled),
            JobState::Cancelled,
        ),
    ];
    for (lifetime, stage, state) in ends {
        let world = World::with_lifetime(lifetime).await;
        let job = world.start(stages(&["s"])).await;
        world.engine.stop(SECOND).await;
        assert_eq!(world.states(job).await, [stage], "{lifetime:?}");
        let world = world.reopened().await;
        settle().await;
        assert_eq!(world.job(job).await.state, state, "{lifetime:?}");
    }
}
