//! Run conditions: the truth table cell by cell, and in whole jobs.

use proptest::prelude::*;

use crate::domain::{
    CancelCause, Cancellation, Command, FencingToken, Holder, Job, JobState, LogSummary, Outcome,
    Pipeline, RunCondition, RunKey, RunnerId, SkipReason, StageAction, StageResult, StageState,
    Verdict, create, decide, verdict,
};

use super::world::{NOW, any_pipeline, new_job, pipeline, spec, stage};

use RunCondition::{Always, OnFailure, OnSuccess};

fn result(outcome: Outcome) -> StageResult {
    StageResult {
        outcome,
        exit_code: None,
        message: String::new(),
        log: LogSummary::default(),
    }
}

pub(super) fn holder(token: i64) -> Holder {
    Holder {
        runner_id: RunnerId(uuid::Uuid::nil()),
        token: FencingToken(token),
    }
}

fn cancellation() -> Cancellation {
    Cancellation {
        cause: CancelCause::Requested,
        reason: String::new(),
        principal: "ada".to_owned(),
    }
}

/// Runs a job to its end; the stages named in `failing` fail.
fn run(job: Job, failing: &[&str]) -> Job {
    let mut job = job;
    while let Some(ready) = job
        .stage_runs
        .iter()
        .find(|run| run.state == StageState::Queued)
    {
        let (key, fails) = (
            ready.key(),
            failing.contains(&job.stage(ready).name.as_str()),
        );
        let outcome = if fails {
            Outcome::CommandFailed
        } else {
            Outcome::Succeeded
        };
        let start = Command::Start {
            run: key,
            holder: holder(1),
        };
        let finish = Command::Finish {
            run: key,
            token: FencingToken(1),
            result: result(outcome),
        };
        job = decide(&job, start, NOW).unwrap().job;
        job = decide(&job, finish, NOW).unwrap().job;
    }
    job
}

fn states(job: &Job) -> Vec<StageState> {
    job.stage_runs.iter().map(|run| run.state).collect()
}

#[test]
fn the_truth_table_for_running_jobs() {
    let table = [
        (OnSuccess, false, Verdict::Run),
        (OnFailure, false, Verdict::Skip(SkipReason::Condition)),
        (Always, false, Verdict::Run),
        (OnSuccess, true, Verdict::Skip(SkipReason::NeedsFailed)),
        (OnFailure, true, Verdict::Run),
        (Always, true, Verdict::Run),
    ];
    for (condition, failed, expected) in table {
        assert_eq!(
            verdict(condition, failed),
            expected,
            "{condition:?} {failed}"
        );
    }
}

#[test]
fn a_cancelled_job_skips_stages_whatever_their_condition() {
    for condition in [OnSuccess, OnFailure, Always] {
        let pipeline = pipeline(spec(
            false,
            vec![
                stage("first", &[], OnSuccess),
                stage("second", &[], condition),
            ],
        ));
        let job = create(new_job(&pipeline), 1, true, NOW).job;
        let job = decide(&job, Command::Cancel(cancellation()), NOW)
            .unwrap()
            .job;
        assert_eq!(states(&job)[1], StageState::Skipped(SkipReason::Cancelled));
        assert_eq!(job.state, JobState::Cancelled);
    }
}

#[test]
fn a_test_a_notification_and_a_deployment() {
    let sequence = pipeline(spec(
        false,
        vec![
            stage("test", &[], OnSuccess),
            stage("notify", &[], OnFailure),
            stage("deploy", &[], OnSuccess),
        ],
    ));
    let job = || create(new_job(&sequence), 1, true, NOW).job;
    let failed = run(job(), &["test"]);
    assert_eq!(
        states(&failed),
        [
            StageState::Failed,
            StageState::Succeeded,
            StageState::Skipped(SkipReason::NeedsFailed)
        ]
    );
    assert_eq!(failed.state, JobState::Failed);
    assert_eq!(failed.failure.unwrap().stage_name, "test");
    let passed = run(job(), &[]);
    assert_eq!(
        states(&passed),
        [
            StageState::Succeeded,
            StageState::Skipped(SkipReason::Condition),
            StageState::Succeeded
        ]
    );
    assert_eq!(
        (passed.state, passed.progress_percent),
        (JobState::Succeeded, 100)
    );
}

#[test]
fn a_failure_skips_dependent_stages_and_not_siblings() {
    let wide = pipeline(spec(
        true,
        vec![
            stage("bad", &[], OnSuccess),
            stage("good", &[], OnSuccess),
            stage("after-bad", &["bad"], OnSuccess),
            stage("after-good", &["good"], OnSuccess),
            stage("far-after-bad", &["after-bad"], OnFailure),
        ],
    ));
    let job = run(create(new_job(&wide), 1, true, NOW).job, &["bad"]);
    assert_eq!(
        states(&job),
        [
            StageState::Failed,
            StageState::Succeeded,
            StageState::Skipped(SkipReason::NeedsFailed),
            StageState::Succeeded,
            // One of its transitive dependencies failed.
            StageState::Succeeded,
        ]
    );
    assert_eq!(job.state, JobState::Failed);
}

#[test]
fn the_failure_of_a_job_is_that_of_the_first_failed_stage() {
    let wide = pipeline(spec(
        true,
        vec![stage("a", &[], OnSuccess), stage("b", &[], OnSuccess)],
    ));
    let mut job = create(new_job(&wide), 1, true, NOW).job;
    let later = NOW + std::time::Duration::from_secs(1);
    for (stage, now) in [(1, NOW), (0, later)] {
        let run = RunKey { stage, attempt: 1 };
        let start = Command::Start {
            run,
            holder: holder(1),
        };
        let finish = Command::Finish {
            run,
            token: FencingToken(1),
            result: result(Outcome::CommandFailed),
        };
        job = decide(&job, start, now).unwrap().job;
        job = decide(&job, finish, now).unwrap().job;
    }
    assert_eq!(job.failure.unwrap().stage_name, "b");
}

/// A pipeline that is too large is refused before its graph is computed.
#[test]
fn huge_pipelines_are_refused_early() {
    let refused = |spec| {
        let id = crate::domain::PipelineId(uuid::Uuid::nil());
        Pipeline::new(id, "default".into(), spec, String::new(), NOW).unwrap_err()
    };
    let mut empty = stage("", &[], OnSuccess);
    empty.action = StageAction::Command(String::new());
    let violations = refused(spec(false, vec![empty; 500_000]));
    assert_eq!(violations.len(), crate::domain::limits::MAX_VIOLATIONS);

    let names: Vec<String> = (0..200_000).map(|number| number.to_string()).collect();
    let needs: Vec<&str> = names.iter().map(String::as_str).collect();
    let violations = refused(spec(false, vec![stage("s", &needs, OnSuccess)]));
    assert_eq!(violations[0].field, "stages[0].needs");
}

proptest! {
    /// In any pipeline with any failures, each stage ends according to the truth table, given
    /// the outcomes of the stages that it depends on.
    #[test]
    fn every_stage_ends_according_to_the_truth_table(
        pipeline in any_pipeline(),
        failures in proptest::collection::vec(any::<bool>(), 9),
    ) {
        let names: Vec<String> = pipeline.spec.stages.iter().map(|s| s.name.clone()).collect();
        let failing: Vec<&str> = names
            .iter()
            .zip(&failures)
            .filter_map(|(name, fails)| fails.then_some(name.as_str()))
            .collect();
        let job = run(create(new_job(&pipeline), 1, true, NOW).job, &failing);
        for (position, stage) in pipeline.spec.stages.iter().enumerate() {
            let depends_on = pipeline.graph.depends_on(position);
            let failed =
                depends_on.iter().any(|&on| job.newest_run(on).state == StageState::Failed);
            let expected = match verdict(stage.run_condition, failed) {
                Verdict::Skip(reason) => StageState::Skipped(reason),
                Verdict::Run if failing.contains(&stage.name.as_str()) => StageState::Failed,
                Verdict::Run => StageState::Succeeded,
            };
            prop_assert_eq!(job.newest_run(position).state, expected);
        }
        let any_failed = job.stage_runs.iter().any(|run| run.state == StageState::Failed);
        let expected = if any_failed { JobState::Failed } else { JobState::Succeeded };
        prop_assert_eq!(job.state, expected);
    }
}
