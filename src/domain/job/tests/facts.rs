//! The facts of an ended job.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::domain::{
    Command, FailureReason, FencingToken, Job, JobFacts, JobState, LogSummary, NewJob, Outcome,
    RetryScope, RunCondition, RunKey, Stage, StageCounts, StageResult, StageTimes, StageType,
    create, decide, retried_runs,
};

use super::{
    conditions::holder,
    world::{NOW, new_job, pipeline, spec, stage},
};

fn at(seconds: u64) -> SystemTime {
    NOW + Duration::from_secs(seconds)
}

/// A job with a build stage, a deploy stage and a stage that notifies of a failure.
fn new() -> NewJob {
    let typed = |name, stage_type, condition| Stage {
        stage_type,
        ..stage(name, &[], condition)
    };
    let stages = vec![
        typed("build", StageType::Build, RunCondition::OnSuccess),
        typed("ship", StageType::Deploy, RunCondition::OnSuccess),
        typed("notify", StageType::Run, RunCondition::OnFailure),
    ];
    new_job(&pipeline(spec(false, stages)))
}

fn run(job: Job, stage: usize, outcome: Outcome, start: u64, end: u64) -> Job {
    let run = RunKey { stage, attempt: 1 };
    let start_it = Command::Start {
        run,
        holder: holder(1),
    };
    let finish = Command::Finish {
        run,
        token: FencingToken(1),
        result: StageResult {
            outcome,
            exit_code: None,
            message: String::new(),
            log: LogSummary::default(),
        },
    };
    let started = decide(&job, start_it, at(start)).unwrap().job;
    decide(&started, finish, at(end)).unwrap().job
}

fn failed() -> Job {
    let job = create(new(), 4, true, at(0)).job;
    let job = run(job, 0, Outcome::Succeeded, 5, 15);
    let job = run(job, 1, Outcome::CommandFailed, 20, 21);
    assert_eq!(JobFacts::of(&job), None, "it has not ended");
    run(job, 2, Outcome::Succeeded, 30, 33)
}

#[test]
fn an_ended_job_has_facts() {
    let facts = JobFacts::of(&failed()).unwrap();
    assert_eq!((facts.number, facts.state), (4, JobState::Failed));
    assert_eq!((facts.wait_ms, facts.run_ms), (5_000, 28_000));
    assert_eq!(facts.failure_reason, Some(FailureReason::CommandFailed));
    let stages = StageCounts {
        succeeded: 2,
        failed: 1,
        ..StageCounts::default()
    };
    assert_eq!(facts.stages, stages);
    let times = StageTimes {
        run_ms: 3_000,
        build_ms: 10_000,
        deploy_ms: 1_000,
    };
    assert_eq!(facts.times, times);
}

#[test]
fn carried_over_stages_are_counted_separately_and_take_no_time() {
    let retried = NewJob {
        stage_runs: retried_runs(&failed(), RetryScope::FailedStages).unwrap(),
        ..new()
    };
    let job = create(retried, 5, true, at(100)).job;
    let facts = JobFacts::of(&run(job, 1, Outcome::Succeeded, 101, 103)).unwrap();
    assert_eq!(
        (facts.state, facts.failure_reason),
        (JobState::Succeeded, None)
    );
    let stages = StageCounts {
        succeeded: 1,
        carried: 1,
        skipped: 1,
        ..StageCounts::default()
    };
    assert_eq!(facts.stages, stages);
    let times = StageTimes {
        deploy_ms: 2_000,
        ..StageTimes::default()
    };
    assert_eq!(facts.times, times);
}

#[test]
fn a_job_that_never_started_has_no_run_time_and_a_negative_duration_is_zero() {
    let mut job = failed();
    job.start_time = None;
    let facts = JobFacts::of(&job).unwrap();
    assert_eq!((facts.wait_ms, facts.run_ms), (33_000, 0));
    let run = Arc::make_mut(&mut job.stage_runs[0]);
    std::mem::swap(&mut run.start_time, &mut run.end_time);
    assert_eq!(JobFacts::of(&job).unwrap().times.build_ms, 0);
}
