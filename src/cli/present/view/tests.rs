//! Repeats, gaps, snapshots, and the fold of each change.

use super::*;
use v1::{job, stage_run};

fn job(last_sequence: i64, state: job::State) -> v1::Job {
    v1::Job {
        id: "j".into(),
        state: state.into(),
        last_sequence,
        ..Default::default()
    }
}

fn snapshot(last_sequence: i64) -> v1::WatchJobResponse {
    let snapshot = v1::JobSnapshot {
        job: Some(job(last_sequence, job::State::Queued)),
        ..Default::default()
    };
    v1::WatchJobResponse {
        payload: Some(Payload::Snapshot(snapshot)),
    }
}

fn heartbeat(last_sequence: i64) -> v1::WatchJobResponse {
    v1::WatchJobResponse {
        payload: Some(Payload::Heartbeat(v1::JobHeartbeat { last_sequence })),
    }
}

fn event(sequence: i64, change: Change) -> v1::JobEvent {
    v1::JobEvent {
        sequence,
        change: Some(change),
        ..Default::default()
    }
}

fn batch(events: Vec<v1::JobEvent>) -> v1::WatchJobResponse {
    v1::WatchJobResponse {
        payload: Some(Payload::Events(v1::JobEventBatch { events })),
    }
}

fn progressed(sequence: i64) -> v1::JobEvent {
    event(
        sequence,
        Change::StageProgressed(v1::StageProgressed::default()),
    )
}

fn stage(sequence: i64, name: &str, attempt: i32, state: stage_run::State) -> v1::JobEvent {
    let stage_run = Some(v1::StageRun {
        stage_name: name.into(),
        attempt,
        state: state.into(),
        ..Default::default()
    });
    event(
        sequence,
        Change::StageRunChanged(v1::StageRunChanged { stage_run }),
    )
}

fn new_sequences(progress: Progress) -> Vec<i64> {
    match progress {
        Progress::Advanced(events) => events.iter().map(|event| event.sequence).collect(),
        other => panic!("expected events, got {other:?}"),
    }
}

#[test]
fn repeats_are_dropped() {
    let mut view = JobView::default();
    assert_eq!(view.apply(snapshot(5)), Progress::Replaced);
    assert_eq!(
        view.apply(batch(vec![progressed(4), progressed(5)])),
        Progress::Idle
    );
    let overlap = batch(vec![
        progressed(5),
        progressed(6),
        progressed(6),
        progressed(7),
    ]);
    assert_eq!(new_sequences(view.apply(overlap)), [6, 7]);
    assert_eq!(view.last_sequence(), Some(7));
}

#[test]
fn a_gap_is_reported_and_the_cursor_stays_before_it() {
    let mut view = JobView::default();
    view.apply(snapshot(5));
    assert_eq!(view.apply(batch(vec![progressed(7)])), Progress::Gap);
    assert_eq!(view.apply(heartbeat(6)), Progress::Gap);
    assert_eq!(view.last_sequence(), Some(5));
    let broken = batch(vec![progressed(6), progressed(8)]);
    assert_eq!(new_sequences(view.apply(broken)), [6]);
    assert_eq!(view.apply(batch(vec![progressed(9)])), Progress::Gap);
    assert_eq!(view.last_sequence(), Some(6));
}

#[test]
fn heartbeats_without_news_change_nothing() {
    let mut view = JobView::default();
    view.apply(snapshot(5));
    assert_eq!(view.apply(heartbeat(5)), Progress::Idle);
    assert_eq!(
        view.apply(v1::WatchJobResponse { payload: None }),
        Progress::Idle
    );
}

#[test]
fn a_snapshot_replaces_even_what_was_ahead() {
    let mut view = JobView::after(90);
    assert_eq!(view.apply(snapshot(5)), Progress::Replaced);
    assert_eq!(view.last_sequence(), Some(5));
    assert_eq!(new_sequences(view.apply(batch(vec![progressed(6)]))), [6]);
}

#[test]
fn events_from_the_first_give_the_job() {
    let mut view = JobView::after(0);
    let created = Change::JobCreated(v1::JobCreated {
        job: Some(job(1, job::State::Queued)),
    });
    let ended = Change::JobEnded(v1::JobEnded {
        job: Some(job(3, job::State::Failed)),
    });
    let history = batch(vec![event(1, created), progressed(2), event(3, ended)]);
    assert_eq!(new_sequences(view.apply(history)), [1, 2, 3]);
    assert_eq!(view.ended().unwrap().state(), job::State::Failed);
}

#[test]
fn a_job_change_keeps_the_stage_runs() {
    let mut view = JobView::default();
    view.apply(snapshot(1));
    view.apply(batch(vec![stage(2, "a", 1, stage_run::State::Queued)]));
    let change = Change::JobChanged(v1::JobChanged {
        job: Some(job(0, job::State::Running)),
    });
    view.apply(batch(vec![event(3, change)]));
    let job = view.job().unwrap();
    assert_eq!((job.state(), job.last_sequence), (job::State::Running, 3));
    assert_eq!(job.stage_runs.len(), 1);
    assert!(view.ended().is_none());
}

#[test]
fn attempts_stand_behind_their_stage() {
    let mut view = JobView::default();
    view.apply(snapshot(0));
    view.apply(batch(vec![
        stage(1, "a", 1, stage_run::State::Running),
        stage(2, "b", 1, stage_run::State::Pending),
        stage(3, "a", 1, stage_run::State::Failed),
        stage(4, "a", 2, stage_run::State::Queued),
    ]));
    let runs = &view.job().unwrap().stage_runs;
    let runs: Vec<_> = runs
        .iter()
        .map(|run| (run.stage_name.as_str(), run.attempt, run.state()))
        .collect();
    assert_eq!(
        runs,
        [
            ("a", 1, stage_run::State::Failed),
            ("a", 2, stage_run::State::Queued),
            ("b", 1, stage_run::State::Pending),
        ]
    );
}

#[test]
fn progress_of_a_stage_and_of_the_job() {
    let mut view = JobView::default();
    view.apply(snapshot(0));
    let change = Change::StageProgressed(v1::StageProgressed {
        stage_name: "a".into(),
        attempt: 1,
        progress_percent: 40,
    });
    let event = v1::JobEvent {
        progress_percent: 20,
        ..event(2, change)
    };
    view.apply(batch(vec![
        stage(1, "a", 1, stage_run::State::Running),
        event,
    ]));
    let job = view.job().unwrap();
    assert_eq!(job.progress_percent, 20);
    assert_eq!(job.stage_runs[0].progress_percent, 40);
}
