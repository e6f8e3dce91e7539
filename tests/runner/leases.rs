//! How the runner handles the responses of the service.

use std::time::Duration;

use pipewright::{
    domain::Outcome,
    runner::{LeaseError, StageWork},
};

use crate::{
    fake_leases::RunState,
    processes::living,
    world::{World, text, work, work_with_fifo},
};

#[tokio::test]
async fn concurrent_stages_are_limited_by_the_capacity() {
    let world = World::isolated();
    let fifo = world.fifo("meeting");
    // The first two can only end together; more than two would be counted.
    let speaks = world
        .leases
        .give(work_with_fifo("echo hello >\"$FIFO\"", &fifo));
    let hears = world.leases.give(work_with_fifo("cat \"$FIFO\"", &fifo));
    let others: Vec<_> = (0..6).map(|_| world.leases.give(work("true"))).collect();
    assert_eq!(text(&hears.done().await.1), "hello\n");
    speaks.done().await;
    for run in others {
        run.done().await;
    }
    world
        .leases
        .board
        .read(|board| assert_eq!(board.most_active, 2));
    world.finish().await;
}

#[tokio::test]
async fn a_refused_lease_starts_nothing() {
    let world = World::isolated();
    let marker = world.dir.path().join("marker");
    let state = RunState {
        lost: true,
        ..RunState::default()
    };
    let stage = work(&format!("touch {}", marker.display()));
    let run = world.leases.give_in_state(stage, state);
    run.0.until(|state| state.renewals == 1).await;
    world.finish().await;
    assert!(!marker.exists());
    run.0.read(|state| assert!(state.completion.is_none()));
}

#[tokio::test]
async fn a_lost_lease_kills_immediately_and_reports_nothing() {
    let world = World::isolated();
    let fifo = world.fifo("held");
    // With a grace of minutes, a graceful end would time out.
    let run = world.leases.give(work_with_fifo(
        "trap '' TERM; exec 3>\"$FIFO\"; echo ready; while :; do sleep 1000; done",
        &fifo,
    ));
    // Ends when the last process that holds the other end is gone.
    let gone = tokio::spawn(tokio::fs::read(fifo));
    run.logged("ready").await;
    run.0.change(|state| state.lost = true);
    assert_eq!(gone.await.unwrap().unwrap(), b"");
    world.finish().await;
    run.0.read(|state| assert!(state.completion.is_none()));
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_in_time_is_given_up() {
    let world = World::isolated();
    let fifo = world.fifo("held");
    // Expires before the next renewal is answered.
    let state = RunState {
        ttl: Some(Duration::from_secs(1)),
        ..RunState::default()
    };
    let stage = work_with_fifo("trap '' TERM; while :; do sleep 1 || :; done", &fifo);
    let run = world.leases.give_in_state(stage, state);
    run.0.until(|state| state.renewals == 2).await;
    world.finish().await;
    assert_eq!(living(fifo.to_str().unwrap()), []);
    run.0.read(|state| assert!(state.completion.is_none()));
}

#[tokio::test]
async fn a_renewal_after_one_that_failed_is_not_held() {
    let world = World::isolated();
    let state = RunState {
        renewal_failures: 1,
        ..RunState::default()
    };
    let run = world.leases.give_in_state(work("sleep 999"), state);
    run.0.until(|state| state.waits.len() == 4).await;
    let held = run.0.read(|state| state.waits.clone());
    let held: Vec<u64> = held.iter().map(Duration::as_secs).collect();
    assert_eq!(held, [0, 10, 0, 10]);
    run.0.change(|state| state.cancel = true);
    run.done().await;
    world.finish().await;
}

#[tokio::test]
async fn a_dropped_runner_leaves_nothing_running() {
    let world = World::isolated();
    let fifo = world.fifo("held");
    let run = world.leases.give(work_with_fifo(
        "trap '' TERM; exec 3>\"$FIFO\"; echo ready; while :; do sleep 1000; done",
        &fifo,
    ));
    let gone = tokio::spawn(tokio::fs::read(fifo));
    run.logged("ready").await;
    world.abort();
    assert_eq!(gone.await.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn a_cancelled_lease_starts_nothing() {
    let world = World::isolated();
    let state = RunState {
        cancel: true,
        ..RunState::default()
    };
    let run = world.leases.give_in_state(work("echo started"), state);
    let (completion, log) = run.done().await;
    assert_eq!(completion.outcome, Outcome::Cancelled);
    assert_eq!(text(&log), "");
    world.finish().await;
}

#[tokio::test]
async fn a_failed_append_is_retried() {
    let world = World::isolated();
    let state = RunState {
        log_failures: 2,
        ..RunState::default()
    };
    let run = world.leases.give_in_state(work("seq 1 1000"), state);
    let (completion, log) = run.done().await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    let expected: String = (1..=1000).map(|n| format!("{n}\n")).collect();
    assert_eq!(text(&log), expected);
    world.finish().await;
}

#[tokio::test]
async fn a_stage_continues_while_its_log_cannot_be_stored() {
    let world = World::isolated();
    let fifo = world.fifo("go");
    let state = RunState {
        log_failures: usize::MAX,
        ..RunState::default()
    };
    let stage = work_with_fifo("echo ready; cat \"$FIFO\"", &fifo);
    let run = world.leases.give_in_state(stage, state);
    // Read only by a stage that has got this far.
    tokio::fs::write(&fifo, "went\n").await.unwrap();
    run.0.change(|state| state.log_failures = 0);
    let (completion, log) = run.done().await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    assert!(!completion.log_incomplete);
    assert_eq!(text(&log), "ready\nwent\n");
    world.finish().await;
}

#[tokio::test]
async fn a_log_that_the_service_has_lost_does_not_delay_the_end() {
    let world = World::isolated();
    let fifo = world.fifo("go");
    let stage = work_with_fifo("echo ready; cat \"$FIFO\"", &fifo);
    let run = world.leases.give(stage);
    run.logged("ready").await;
    run.0.change(|state| state.log.clear());
    tokio::fs::write(&fifo, "").await.unwrap();
    let (completion, _) = run.done().await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    assert_eq!((completion.log_size, completion.log_incomplete), (6, true));
    world.finish().await;
}

#[tokio::test]
async fn the_workspace_of_an_ended_job_is_removed() {
    let world = World::isolated();
    let stage = work("true");
    let job = stage.job_id;
    world.run(stage).await;
    world.leases.board.until(|board| board.held == [job]).await;
    world.leases.end_job(job);
    world
        .leases
        .board
        .until(|board| board.held.is_empty())
        .await;
    world.finish().await;
}

#[tokio::test]
async fn a_stage_whose_workspace_is_gone_is_returned() {
    let world = World::isolated();
    let marker = world.dir.path().join("marker");
    let stage = StageWork {
        workspace_exists: true,
        ..work(&format!("touch {}", marker.display()))
    };
    let (completion, _) = world.run(stage).await;
    assert_eq!(completion.outcome, Outcome::Returned);
    assert!(!marker.exists());
    // An existing workspace is used.
    let first = work("echo made > file");
    let second = StageWork {
        workspace_exists: true,
        job_id: first.job_id,
        ..work("cat file")
    };
    world.run(first).await;
    assert_eq!(text(&world.run(second).await.1), "made\n");
    world.finish().await;
}

#[tokio::test]
async fn failures_are_retried_and_a_void_registration_is_renewed() {
    let world = World::isolated();
    for refusal in [LeaseError::Failed("for now".into()), LeaseError::Lost] {
        world
            .leases
            .board
            .change(|board| board.refusal = Some(refusal));
        world
            .leases
            .board
            .until(|board| board.refusal.is_none())
            .await;
    }
    world
        .leases
        .board
        .until(|board| board.registrations == 2)
        .await;
    let (completion, _) = world.run(work("true")).await;
    assert_eq!(completion.outcome, Outcome::Succeeded);
    world.finish().await;
}

#[tokio::test]
async fn a_stopping_service_ends_the_runner_once_its_stages_are_over() {
    let world = World::isolated();
    let fifo = world.fifo("go");
    let run = world
        .leases
        .give(work_with_fifo("echo ready; cat \"$FIFO\"", &fifo));
    run.logged("ready").await;
    let board = &world.leases.board;
    board.change(|board| board.refusal = Some(LeaseError::Stopping));
    board.until(|board| board.refusal.is_none()).await;
    tokio::fs::write(&fifo, "went\n").await.unwrap();
    world.ends_by_itself().await;
    assert_eq!(text(&run.done().await.1), "ready\nwent\n");
}
