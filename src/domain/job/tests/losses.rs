//! The loss of a stage's runner or workspace, case by case.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::domain::{
    ActionKind, Command, FailureReason, FencingToken, Holder, Job, JobState, LogSummary,
    LostWorkspace, Offer, Outcome, Pipeline, RunCondition, RunKey, RunnerId, SkipReason, Stage,
    StageResult, StageState, StageType, Variables, create, decide, limits, stage_durations,
    stage_weights,
};

use super::world::{NOW, new_job, pipeline, spec, stage};

use RunCondition::{Always, OnFailure, OnSuccess};

fn of_type(stage_type: StageType) -> Arc<Pipeline> {
    let only = Stage {
        stage_type,
        ..stage("only", &[], OnSuccess)
    };
    pipeline(spec(false, vec![only]))
}

fn started(pipeline: &Arc<Pipeline>) -> Job {
    create(new_job(pipeline), 1, true, NOW).job
}

fn run(stage: usize, attempt: u32) -> RunKey {
    RunKey { stage, attempt }
}

fn decided(job: &Job, command: Command) -> Job {
    decide(job, command, NOW)
        .expect("the command is accepted")
        .job
}

/// A runner, by number, takes a run under a token of the same number.
fn start(job: &Job, run: RunKey, number: u8) -> Job {
    let holder = Holder {
        runner_id: RunnerId(Uuid::from_u128(number.into())),
        token: FencingToken(number.into()),
    };
    decided(job, Command::Start { run, holder })
}

fn finish(job: &Job, run: RunKey, token: i64, outcome: Outcome) -> Job {
    let result = StageResult {
        outcome,
        exit_code: None,
        message: String::new(),
        log: LogSummary::default(),
    };
    let token = FencingToken(token);
    decided(job, Command::Finish { run, token, result })
}

fn lose(job: &Job, run: RunKey, token: i64) -> Job {
    let lose = Command::Lose {
        run,
        token: FencingToken(token),
        log: LogSummary::from(5),
    };
    decided(job, lose)
}

fn lose_workspace(job: &Job, number: u8, before: i64) -> Job {
    let lost = LostWorkspace {
        runner_id: RunnerId(Uuid::from_u128(number.into())),
        offer: Arc::new(Offer {
            labels: Variables::new(),
            actions: ActionKind::ALL.into(),
        }),
        before: FencingToken(before),
    };
    decided(job, Command::LoseWorkspace(lost))
}

fn states(job: &Job) -> Vec<StageState> {
    job.stage_runs.iter().map(|run| run.state).collect()
}

fn is_lost(job: &Job, key: RunKey) -> bool {
    let failure = job.run(key).and_then(|run| run.failure.as_ref());
    failure.is_some_and(|failure| failure.reason == FailureReason::RunnerLost)
}

#[test]
fn a_run_or_build_stage_gets_one_new_attempt() {
    for stage_type in [StageType::Run, StageType::Build] {
        let job = start(&started(&of_type(stage_type)), run(0, 1), 1);
        let job = lose(&job, run(0, 1), 1);
        assert!(is_lost(&job, run(0, 1)));
        assert_eq!(states(&job), [StageState::Failed, StageState::Queued]);
        assert_eq!(job.state, JobState::Running);
        assert_eq!(job.run(run(0, 1)).unwrap().log.size, 5);
        assert_eq!(job.progress_percent, 0, "what is lost is not over");

        let ended = finish(&start(&job, run(0, 2), 2), run(0, 2), 2, Outcome::Succeeded);
        assert_eq!(ended.state, JobState::Succeeded);
        assert_eq!(ended.failure, None);

        let lost_again = lose(&start(&job, run(0, 2), 2), run(0, 2), 2);
        assert_eq!(states(&lost_again), [StageState::Failed; 2]);
        assert_eq!(lost_again.state, JobState::Failed);
    }
}

#[test]
fn a_lost_deployment_is_not_retried() {
    let job = start(&started(&of_type(StageType::Deploy)), run(0, 1), 1);
    let job = lose(&job, run(0, 1), 1);
    assert_eq!(states(&job), [StageState::Failed]);
    let failure = job.failure.unwrap();
    assert_eq!(failure.reason, FailureReason::RunnerLost);
    assert!(
        failure.message.contains("deployment"),
        "{}",
        failure.message
    );
}

#[test]
fn a_stage_that_depends_on_the_lost_workspace_is_not_retried() {
    let two = pipeline(spec(
        false,
        vec![
            stage("first", &[], OnSuccess),
            stage("second", &[], OnSuccess),
        ],
    ));
    let job = start(&started(&two), run(0, 1), 1);
    let job = finish(&job, run(0, 1), 1, Outcome::Succeeded);
    let same = lose(&start(&job, run(1, 1), 1), run(1, 1), 1);
    assert_eq!(same.state, JobState::Failed);
    // On another runner it had a workspace of its own, without the first stage's files.
    let other = lose(&start(&job, run(1, 1), 2), run(1, 1), 2);
    assert_eq!(other.state, JobState::Running);
    assert_eq!(other.newest_run(1).state, StageState::Queued);
}

#[test]
fn stages_independent_of_the_lost_workspace_continue() {
    let three = pipeline(spec(
        true,
        vec![
            stage("done", &[], OnSuccess),
            stage("needs-it", &["done"], OnSuccess),
            stage("other", &[], OnSuccess),
        ],
    ));
    let job = start(&started(&three), run(0, 1), 1);
    let job = finish(&job, run(0, 1), 1, Outcome::Succeeded);
    let job = lose_workspace(&job, 1, 9);
    assert!(is_lost(&job, run(1, 1)));
    assert_eq!(job.run(run(2, 1)).unwrap().state, StageState::Queued);
}

#[test]
fn on_failure_and_always_stages_run_after_the_workspace_is_lost() {
    let stages = vec![
        stage("build", &[], OnSuccess),
        stage("deploy", &[], OnSuccess),
        stage("notify", &[], OnFailure),
        stage("tidy", &["build"], Always),
    ];
    let job = start(&started(&pipeline(spec(false, stages))), run(0, 1), 1);
    let job = finish(&job, run(0, 1), 1, Outcome::Succeeded);
    let job = lose_workspace(&job, 1, 9);
    let expected = [
        StageState::Succeeded,
        StageState::Failed,
        StageState::Queued,
        StageState::Queued,
    ];
    assert_eq!(states(&job), expected);
}

#[test]
fn a_newer_workspace_of_the_same_runner_is_not_lost() {
    let two = pipeline(spec(
        false,
        vec![
            stage("first", &[], OnSuccess),
            stage("second", &[], OnSuccess),
        ],
    ));
    let job = start(&started(&two), run(0, 1), 7);
    let job = finish(&job, run(0, 1), 7, Outcome::Succeeded);
    let kept = lose_workspace(&job, 7, 7);
    assert_eq!(kept.newest_run(1).state, StageState::Queued);
}

#[test]
fn a_returned_stage_is_requeued_a_limited_number_of_times() {
    let mut job = started(&of_type(StageType::Run));
    for _ in 0..limits::MAX_RETURNS {
        job = finish(&start(&job, run(0, 1), 1), run(0, 1), 1, Outcome::Returned);
        let waiting = job.run(run(0, 1)).unwrap();
        assert_eq!(waiting.state, StageState::Queued);
        assert_eq!((waiting.holder, waiting.start_time), (None, None));
    }
    job = finish(&start(&job, run(0, 1), 1), run(0, 1), 1, Outcome::Returned);
    assert_eq!(job.state, JobState::Failed);
}

#[test]
fn a_stage_lost_or_returned_during_a_cancel_ends_the_job() {
    let cancelled = |job: &Job| {
        let cancellation = crate::domain::Cancellation {
            cause: crate::domain::CancelCause::Requested,
            reason: String::new(),
            principal: String::new(),
        };
        decided(job, Command::Cancel(cancellation))
    };
    let job = cancelled(&start(&started(&of_type(StageType::Run)), run(0, 1), 1));
    assert_eq!(lose(&job, run(0, 1), 1).state, JobState::Cancelled);
    let returned = finish(&job, run(0, 1), 1, Outcome::Returned);
    assert_eq!(returned.state, JobState::Cancelled);
    assert_eq!(
        states(&returned),
        [StageState::Skipped(SkipReason::Cancelled)]
    );
}

#[test]
fn progress_weighs_stages_by_their_earlier_durations() {
    let stages = vec![
        stage("short", &[], OnSuccess),
        stage("long", &[], OnSuccess),
    ];
    let two = pipeline(spec(false, stages));
    let mut job = started(&two);
    let mut now = NOW;
    for (stage, seconds) in [(0, 10), (1, 90)] {
        let holder = Holder {
            runner_id: RunnerId(Uuid::nil()),
            token: FencingToken(1),
        };
        let (run, token) = (run(stage, 1), FencingToken(1));
        job = decide(&job, Command::Start { run, holder }, now)
            .unwrap()
            .job;
        now += Duration::from_secs(seconds);
        let result = StageResult {
            outcome: Outcome::Succeeded,
            exit_code: Some(0),
            message: String::new(),
            log: LogSummary::default(),
        };
        job = decide(&job, Command::Finish { run, token, result }, now)
            .unwrap()
            .job;
    }
    assert_eq!(
        stage_weights(&two, &stage_durations(&job)),
        [10_000, 90_000]
    );

    let mut next = new_job(&two);
    next.weights = stage_weights(&two, &stage_durations(&job));
    let next = create(next, 2, true, NOW).job;
    let next = finish(
        &start(&next, run(0, 1), 1),
        run(0, 1),
        1,
        Outcome::Succeeded,
    );
    assert_eq!(next.progress_percent, 10);
    let next = start(&next, run(1, 1), 1);
    let (run, token) = (run(1, 1), FencingToken(1));
    let percent = 50;
    let next = decided(
        &next,
        Command::Progress {
            run,
            token,
            percent,
        },
    );
    assert_eq!(next.progress_percent, 55);

    let stages = vec![stage("short", &[], OnSuccess), stage("new", &[], OnSuccess)];
    assert_eq!(
        stage_weights(&pipeline(spec(false, stages)), &stage_durations(&job)),
        [10_000; 2]
    );
    let stages = vec![stage("unknown", &[], OnSuccess)];
    assert!(stage_weights(&pipeline(spec(false, stages)), &stage_durations(&job)).is_empty());
}
