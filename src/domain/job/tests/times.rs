//! The times of a job when the clock is set back.

use std::time::Duration;

use super::{
    conditions::holder,
    world::{NOW, new_job, pipeline, spec, stage},
};
use crate::domain::{
    Command, Job, JobState, LogSummary, Outcome, RunCondition, RunKey, StageResult, create, decide,
};

#[test]
fn event_times_never_decrease_when_the_clock_is_set_back() {
    let at = |seconds| NOW + Duration::from_secs(seconds);
    let pipeline = pipeline(spec(false, vec![stage("s", &[], RunCondition::OnSuccess)]));
    let run = RunKey {
        stage: 0,
        attempt: 1,
    };
    let made = create(new_job(&pipeline), 1, true, at(7_200));
    let start = Command::Start {
        run,
        holder: holder(1),
    };
    let started = decide(&made.job, start, at(7_210)).unwrap();
    let progress = Command::Progress {
        run,
        token: holder(1).token,
        percent: 40,
    };
    // In between, the clock was set back by an hour.
    let moved = decide(&started.job, progress, at(3_620)).unwrap();
    let finish = Command::Finish {
        run,
        token: holder(1).token,
        result: StageResult {
            outcome: Outcome::Succeeded,
            exit_code: Some(0),
            message: String::new(),
            log: LogSummary::default(),
        },
    };
    let ended = decide(&moved.job, finish, at(3_630)).unwrap();
    let events = [made.events, started.events, moved.events, ended.events].concat();
    assert!(events.is_sorted_by_key(|event| event.time), "{events:?}");
    assert_eq!(ended.job.state, JobState::Succeeded);
    let run = &ended.job.stage_runs[0];
    assert!(run.start_time <= run.end_time && ended.job.start_time <= ended.job.end_time);
    assert_eq!(ended.job.last_time, at(7_210));
    assert_eq!(Job::replay(&events), Some(ended.job));
}
