//! Property tests of the state machine with any sequence of commands, including those of a
//! faulty or hostile runner.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*, sample::Index};

use crate::domain::{
    ActionKind, CancelCause, Cancellation, Change, Command, Event, FailureReason, FencingToken,
    Job, JobState, LogSummary, LostWorkspace, Offer, Outcome, Refusal, RetryScope, RunKey,
    SkipReason, StageResult, StageState, Variables, create, decide, limits, retried_runs,
};

use super::{
    conditions::holder,
    world::{NOW, any_pipeline, new_job},
};

/// A command whose stage is selected when it is applied to the job.
#[derive(Clone, Debug)]
enum Step {
    Admit,
    Start(Index, i64),
    ResolveCommit(Index, i64, u8),
    Progress(Index, i64, u8),
    Finish(Index, i64, Outcome),
    Lose(Index, i64),
    LoseWorkspace(i64),
    Cancel,
}

fn any_step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Succeeded),
        2 => Just(Outcome::CommandFailed),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Cancelled),
        1 => Just(Outcome::CheckoutFailed),
        1 => Just(Outcome::RunnerError),
        2 => Just(Outcome::Returned),
    ];
    // Few tokens, so that both valid and stale ones are common.
    prop_oneof![
        2 => Just(Step::Admit),
        8 => (any::<Index>(), 1..4i64).prop_map(|(run, token)| Step::Start(run, token)),
        2 => (any::<Index>(), 1..4i64, 0..3u8).prop_map(|(r, t, c)| Step::ResolveCommit(r, t, c)),
        4 => (any::<Index>(), 1..4i64, any::<u8>()).prop_map(|(r, t, p)| Step::Progress(r, t, p)),
        12 => (any::<Index>(), 1..4i64, outcome).prop_map(|(r, t, o)| Step::Finish(r, t, o)),
        3 => (any::<Index>(), 1..4i64).prop_map(|(run, token)| Step::Lose(run, token)),
        1 => (1..5i64).prop_map(Step::LoseWorkspace),
        1 => Just(Step::Cancel),
    ]
}

fn command(job: &Job, step: &Step) -> Command {
    let key = |index: &Index| -> RunKey { index.get(&job.stage_runs).key() };
    match step {
        Step::Admit => Command::Admit,
        Step::Start(run, token) => Command::Start {
            run: key(run),
            holder: holder(*token),
        },
        Step::ResolveCommit(run, token, commit) => Command::ResolveCommit {
            run: key(run),
            token: FencingToken(*token),
            commit_id: format!("commit-{commit}"),
        },
        Step::Progress(run, token, percent) => Command::Progress {
            run: key(run),
            token: FencingToken(*token),
            percent: *percent,
        },
        Step::Finish(run, token, outcome) => Command::Finish {
            run: key(run),
            token: FencingToken(*token),
            result: StageResult {
                outcome: *outcome,
                exit_code: None,
                message: "é".repeat(2_000),
                log: LogSummary::from(7),
            },
        },
        Step::Lose(run, token) => Command::Lose {
            run: key(run),
            token: FencingToken(*token),
            log: LogSummary::from(7),
        },
        Step::LoseWorkspace(before) => Command::LoseWorkspace(LostWorkspace {
            runner_id: holder(1).runner_id,
            offer: Arc::new(Offer {
                labels: Variables::new(),
                actions: ActionKind::ALL.into(),
            }),
            before: FencingToken(*before),
        }),
        Step::Cancel => Command::Cancel(Cancellation {
            cause: CancelCause::Requested,
            reason: String::new(),
            principal: "ada".to_owned(),
        }),
    }
}

/// The invariants of a job.
fn check(job: &Job, admitted: bool) -> Result<(), TestCaseError> {
    let all_over = job.newest_runs().all(|run| run.state.is_terminal());
    prop_assert_eq!(job.state.is_terminal(), all_over);
    prop_assert_eq!(job.end_time.is_some(), job.state.is_terminal());
    prop_assert_eq!(job.failure.is_some(), job.state == JobState::Failed);
    prop_assert_eq!(
        job.progress_percent == 100,
        job.state == JobState::Succeeded
    );
    // What was completed, and no more.
    let completed = job.newest_runs().map(|run| match run.state {
        StageState::Succeeded | StageState::Skipped(SkipReason::Condition) => 100,
        _ => usize::from(run.progress_percent),
    });
    let most = completed.sum::<usize>() / job.pipeline.spec.stages.len();
    if job.state != JobState::Succeeded && !job.stage_runs.iter().any(|run| run.attempt > 1) {
        prop_assert_eq!(usize::from(job.progress_percent), most.min(99));
    }
    let is_cancelled = matches!(job.state, JobState::Cancelling | JobState::Cancelled);
    prop_assert_eq!(job.cancellation.is_some(), is_cancelled);
    if job.state == JobState::Queued {
        prop_assert!(job.start_time.is_none());
    }
    prop_assert!(job.stage_runs.is_sorted_by_key(|run| run.key()));
    for runs in job.stage_runs.chunk_by(|one, next| one.stage == next.stage) {
        let attempts: Vec<u32> = runs.iter().map(|run| run.attempt).collect();
        let last = runs.last().unwrap();
        // A run that was carried over from an earlier job keeps its attempt number.
        let first = if last.carried_from.is_some() {
            last.attempt
        } else {
            1
        };
        prop_assert_eq!(attempts, (first..=last.attempt).collect::<Vec<_>>());
        prop_assert!(last.attempt <= limits::MAX_ATTEMPTS);
        // A new attempt follows only a lost one: two never overlap.
        for earlier in &runs[..runs.len() - 1] {
            let reason = earlier.failure.as_ref().map(|failure| failure.reason);
            prop_assert_eq!(reason, Some(FailureReason::RunnerLost));
        }
    }
    for run in &job.stage_runs {
        let has_failed = run.state == StageState::Failed;
        prop_assert_eq!(run.failure.is_some(), has_failed);
        if let Some(failure) = &run.failure {
            prop_assert!(failure.message.len() <= 2048);
        }
        if run.state == StageState::Running {
            prop_assert!(run.holder.is_some());
            prop_assert!(matches!(
                job.state,
                JobState::Running | JobState::Cancelling
            ));
        }
        let is_active = matches!(run.state, StageState::Queued | StageState::Running);
        prop_assert!(
            admitted || !is_active,
            "a job that was not admitted has an active stage"
        );
        // The direct needs of an active stage are over.
        if is_active {
            for &need in job.pipeline.graph.direct(run.stage) {
                prop_assert!(job.newest_run(need).state.is_terminal());
            }
        }
        if run.state == StageState::Skipped(SkipReason::Cancelled) {
            prop_assert!(is_cancelled);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// I2, I3, I4: events are numbered without gaps, the only `Ended` event is the last one,
    /// progress never decreases, a wrong token changes nothing, and a replay of the events
    /// equals the job.
    #[test]
    fn any_commands_in_any_order_keep_the_invariants(
        pipeline in any_pipeline(),
        starts_admitted in any::<bool>(),
        steps in vec(any_step(), 0..120),
    ) {
        let made = create(new_job(&pipeline), 1, starts_admitted, NOW);
        let mut admitted = starts_admitted;
        let mut events: Vec<Event> = made.events;
        let mut job = made.job;
        check(&job, admitted)?;
        for step in &steps {
            let before = job.clone();
            match decide(&job, command(&job, step), NOW) {
                Ok(decision) => {
                    admitted |= matches!(step, Step::Admit);
                    events.extend(decision.events);
                    job = decision.job;
                }
                Err(refusal) => {
                    let is_cancel = matches!(step, Step::Cancel);
                    prop_assert_eq!(matches!(refusal, Refusal::JobEnded(_)), is_cancel);
                }
            }
            check(&job, admitted)?;
            prop_assert!(job.progress_percent >= before.progress_percent);
            if before.state.is_terminal() {
                prop_assert_eq!(&job, &before, "an ended job never changes");
            }
            if let Step::Finish(index, token, _) | Step::Lose(index, token) = step {
                let run = index.get(&before.stage_runs);
                let holds = run.holder.is_some_and(|holder| holder.token.0 == *token);
                if !(holds && run.state == StageState::Running) {
                    prop_assert_eq!(&job, &before, "only the holder ends a stage");
                }
            }
            for old in &before.stage_runs {
                let run = job.run(old.key()).unwrap();
                prop_assert!(run.progress_percent >= old.progress_percent);
                prop_assert!(run.progress_percent <= 100);
            }
            if !before.commit_id.is_empty() {
                prop_assert_eq!(&job.commit_id, &before.commit_id, "the first report wins");
            }
        }
        let numbers: Vec<i64> = events.iter().map(|event| event.sequence).collect();
        let expected: Vec<i64> = (1..=job.last_sequence).collect();
        prop_assert_eq!(numbers, expected);
        let ends = events.iter().filter(|event| matches!(event.change, Change::Ended { .. }));
        prop_assert_eq!(ends.count(), usize::from(job.state.is_terminal()));
        if job.state.is_terminal() {
            let last = &events.last().unwrap().change;
            prop_assert!(matches!(last, Change::Ended { .. }), "the end is the last event");
        }
        prop_assert_eq!(Job::replay(&events), Some(job));
    }

    /// A retry of failed stages runs those and all that depend on them, carries over the
    /// others, and can end.
    #[test]
    fn a_retry_repeats_unsuccessful_stages(
        pipeline in any_pipeline(),
        steps in vec(any_step(), 0..120),
    ) {
        let mut job = create(new_job(&pipeline), 1, true, NOW).job;
        for step in &steps {
            if let Ok(decision) = decide(&job, command(&job, step), NOW) {
                job = decision.job;
            }
        }
        prop_assume!(job.state.is_terminal());
        let Some(runs) = retried_runs(&job, RetryScope::FailedStages) else {
            let is_finished = |state| matches!(
                state,
                StageState::Succeeded | StageState::Skipped(SkipReason::Condition)
            );
            prop_assert!(job.newest_runs().all(|run| is_finished(run.state)));
            return Ok(());
        };
        for run in &runs {
            let again = run.state == StageState::Pending;
            let depends_on = pipeline.graph.depends_on(run.stage);
            let needs_again = depends_on.iter().any(|&on| runs[on].state == StageState::Pending);
            prop_assert!(!needs_again || again);
            let succeeded = job.newest_run(run.stage).state == StageState::Succeeded;
            prop_assert_eq!(run.carried_from.is_some(), succeeded && !needs_again);
            prop_assert_eq!(run.carried_from.is_some(), run.state == StageState::Succeeded);
        }
        let mut new = new_job(&pipeline);
        new.stage_runs = runs;
        let mut job = create(new, 2, true, NOW).job;
        check(&job, true)?;
        while let Some(run) = job.stage_runs.iter().find(|run| run.state == StageState::Queued) {
            let run = run.key();
            job = decide(&job, Command::Start { run, holder: holder(9) }, NOW).unwrap().job;
            let result = StageResult {
                outcome: Outcome::Succeeded,
                exit_code: Some(0),
                message: String::new(),
                log: LogSummary::default(),
            };
            let finish = Command::Finish { run, token: FencingToken(9), result };
            job = decide(&job, finish, NOW).unwrap().job;
        }
        prop_assert_eq!(job.state, JobState::Succeeded);
    }
}
