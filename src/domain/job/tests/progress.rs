//! What a job says that it has completed, by how it ended.

use std::sync::Arc;

use crate::domain::{
    CancelCause, Cancellation, Command, FencingToken, Job, JobState, LogSummary, Outcome, Pipeline,
    RetryScope, RunCondition, RunKey, StageResult, create, decide, retried_runs,
};

use super::{
    conditions::holder,
    world::{NOW, new_job, pipeline, spec, stage},
};

use RunCondition::{Always, OnFailure, OnSuccess};

/// Five stages, one after the other.
fn five() -> Arc<Pipeline> {
    let names = ["a", "b", "c", "d", "e"];
    pipeline(spec(
        false,
        names.map(|name| stage(name, &[], OnSuccess)).into(),
    ))
}

fn created(pipeline: &Arc<Pipeline>) -> Job {
    create(new_job(pipeline), 1, true, NOW).job
}

fn asked(job: &Job, command: Command) -> Job {
    decide(job, command, NOW).expect("the command is right").job
}

fn key(stage: usize) -> RunKey {
    RunKey { stage, attempt: 1 }
}

fn start(job: &Job, stage: usize) -> Job {
    let (run, holder) = (key(stage), holder(1));
    asked(job, Command::Start { run, holder })
}

fn progress(job: &Job, stage: usize, percent: u8) -> Job {
    let (run, token) = (key(stage), FencingToken(1));
    let command = Command::Progress {
        run,
        token,
        percent,
    };
    asked(job, command)
}

fn finish(job: &Job, stage: usize, outcome: Outcome) -> Job {
    let result = StageResult {
        outcome,
        exit_code: None,
        message: String::new(),
        log: LogSummary::default(),
    };
    let (run, token) = (key(stage), FencingToken(1));
    asked(job, Command::Finish { run, token, result })
}

fn run(job: &Job, stage: usize, outcome: Outcome) -> Job {
    finish(&start(job, stage), stage, outcome)
}

fn cancel(job: &Job) -> Job {
    let cancellation = Cancellation {
        cause: CancelCause::Requested,
        reason: String::new(),
        principal: "alice".to_owned(),
    };
    asked(job, Command::Cancel(cancellation))
}

#[track_caller]
fn assert_ended(job: &Job, state: JobState, percent: u8) {
    assert_eq!((job.state, job.progress_percent), (state, percent));
}

#[test]
fn a_job_that_was_cancelled_in_the_queue_has_done_nothing() {
    assert_ended(&cancel(&created(&five())), JobState::Cancelled, 0);
    let held = create(new_job(&five()), 1, false, NOW).job;
    assert_ended(&cancel(&held), JobState::Cancelled, 0);
}

#[test]
fn a_job_without_success_shows_what_was_completed() {
    for (outcome, state) in [
        (Outcome::CheckoutFailed, JobState::Failed),
        (Outcome::CommandFailed, JobState::Failed),
        (Outcome::TimedOut, JobState::Failed),
        (Outcome::RunnerError, JobState::Failed),
    ] {
        let job = created(&five());
        assert_ended(&run(&job, 0, outcome), state, 0);
        // A fifth, and the half of the second stage.
        let job = start(&run(&job, 0, Outcome::Succeeded), 1);
        let job = finish(&progress(&job, 1, 50), 1, outcome);
        assert_ended(&job, state, 30);
    }
}

#[test]
fn a_job_that_was_cancelled_keeps_what_it_had() {
    let job = run(&created(&five()), 0, Outcome::Succeeded);
    assert_ended(&cancel(&job), JobState::Cancelled, 20);
    let job = cancel(&progress(&start(&job, 1), 1, 50));
    assert_eq!(
        (job.state, job.progress_percent),
        (JobState::Cancelling, 30)
    );
    assert_ended(
        &finish(&job, 1, Outcome::Cancelled),
        JobState::Cancelled,
        30,
    );
    // A stage that ends well all the same was completed.
    assert_ended(
        &finish(&job, 1, Outcome::Succeeded),
        JobState::Cancelled,
        40,
    );
}

#[test]
fn what_runs_after_a_failure_counts_and_what_is_not_needed_is_no_work() {
    let stages = vec![
        stage("a", &[], OnSuccess),
        stage("b", &[], OnSuccess),
        stage("report", &[], OnFailure),
        stage("tidy", &[], Always),
    ];
    let four = pipeline(spec(false, stages));
    // The first fails, the second is skipped, the others run.
    let job = run(&created(&four), 0, Outcome::CommandFailed);
    let job = run(&job, 2, Outcome::Succeeded);
    assert_ended(&run(&job, 3, Outcome::Succeeded), JobState::Failed, 50);
    // Nothing fails, so that nothing is to be reported.
    let job = run(&created(&four), 0, Outcome::Succeeded);
    let job = run(&job, 1, Outcome::Succeeded);
    assert_eq!(job.progress_percent, 75);
    assert_ended(&run(&job, 3, Outcome::Succeeded), JobState::Succeeded, 100);
}

#[test]
fn what_a_retry_carries_over_counts() {
    let job = run(&created(&five()), 0, Outcome::Succeeded);
    let failed = run(&job, 1, Outcome::CommandFailed);
    let mut again = new_job(&five());
    again.stage_runs = retried_runs(&failed, RetryScope::FailedStages).unwrap();
    let again = create(again, 2, true, NOW).job;
    assert_eq!(again.progress_percent, 20);
    assert_ended(&cancel(&again), JobState::Cancelled, 20);
}
