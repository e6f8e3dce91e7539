//! States, reasons and times as text for people.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use prost_types::Timestamp;

use crate::{
    cli::present::{duration, text},
    proto::v1,
};

/// A job's state.
pub(crate) fn job_state(state: v1::job::State) -> String {
    word(state.as_str_name(), "STATE_")
}

/// A stage run's state.
pub(crate) fn run_state(state: v1::stage_run::State) -> String {
    word(state.as_str_name(), "STATE_")
}

/// A stage's type.
pub(crate) fn stage_type(kind: v1::stage::Type) -> String {
    word(kind.as_str_name(), "TYPE_")
}

/// A runner's state, and whether it takes work.
pub(crate) fn runner_state(runner: &v1::Runner) -> String {
    let state = word(runner.state().as_str_name(), "STATE_");
    if runner.draining {
        format!("{state}, draining")
    } else {
        state
    }
}

/// A background task's state.
pub(crate) fn task_state(state: v1::task::State) -> String {
    word(state.as_str_name(), "STATE_")
}

/// Labels as `a=1,b=2`.
pub(crate) fn labels(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}

/// `STATE_NO_SUCH_THING` as "no_such_thing".
pub(crate) fn snake_case(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

/// `STATE_NO_SUCH_THING` as "no such thing".
fn word(name: &str, prefix: &str) -> String {
    snake_case(name, prefix).replace('_', " ")
}

/// Name of a stage in log lines, with the attempt from the second on.
pub(crate) fn run_name(run: &v1::StageRun) -> String {
    let name = text::one_line(&run.stage_name);
    match run.attempt {
        0 | 1 => name,
        attempt => format!("{name} #{attempt}"),
    }
}

/// Why a stage run is in its state, if that adds to the state, and which parts of its log are
/// missing.
pub(crate) fn run_detail(run: &v1::StageRun) -> String {
    let parts = [
        state_detail(run),
        log_loss(run.log_loss.unwrap_or_default()),
    ];
    let known = parts.into_iter().filter(|part| !part.is_empty());
    known.collect::<Vec<_>>().join("; ")
}

fn log_loss(loss: v1::LogLoss) -> String {
    let v1::LogLoss {
        size_limit_bytes,
        runner_dropped_bytes,
        not_stored_bytes,
    } = loss;
    let parts = [
        (not_stored_bytes, "the service could not store them"),
        (runner_dropped_bytes, "the runner could not keep them"),
        (size_limit_bytes, "the log grew past its limit"),
    ];
    let missing = parts.iter().filter(|(bytes, _)| *bytes != 0);
    let told = missing.map(|(bytes, why)| format!("{bytes} bytes of its log are missing: {why}"));
    told.collect::<Vec<_>>().join("; ")
}

fn state_detail(run: &v1::StageRun) -> String {
    use v1::stage_run::{PendingReason, SkipReason, State};
    match run.state() {
        State::Failed => failure(run.failure.as_ref(), run.exit_code),
        State::Skipped => match run.skip_reason() {
            SkipReason::NeedsFailed => "a stage that it needs failed".to_owned(),
            SkipReason::Condition => "nothing failed".to_owned(),
            SkipReason::Cancelled => "the job was cancelled".to_owned(),
            SkipReason::Unspecified => String::new(),
        },
        State::Pending | State::Queued => match run.pending_reason() {
            PendingReason::Unspecified => String::new(),
            PendingReason::Concurrency => "another job of the pipeline is active".to_owned(),
            PendingReason::NoCapableRunner => {
                "no connected runner with its labels supports its action".to_owned()
            }
            reason => word(reason.as_str_name(), "PENDING_REASON_"),
        },
        State::Succeeded if !run.carried_from_job_id.is_empty() => {
            format!("in job {}", text::one_line(&run.carried_from_job_id))
        }
        _ => String::new(),
    }
}

fn failure(failure: Option<&v1::Failure>, exit_code: Option<i32>) -> String {
    let message = failure.map_or(String::new(), |failure| text::one_line(&failure.message));
    match (message.is_empty(), exit_code) {
        (false, _) => message,
        (true, Some(code)) => format!("exit code {code}"),
        (true, None) => String::new(),
    }
}

/// Why a job is in its state, if that adds to the state.
pub(crate) fn job_detail(job: &v1::Job) -> String {
    if let Some(cancellation) = &job.cancellation {
        let cause = word(cancellation.cause().as_str_name(), "CAUSE_");
        return match text::one_line(&cancellation.reason) {
            reason if reason.is_empty() => cause,
            reason => format!("{cause}: {reason}"),
        };
    }
    match &job.failure {
        Some(cause) if !cause.stage_name.is_empty() => {
            let stage = text::one_line(&cause.stage_name);
            let why = failure(Some(cause), exit_code(job, &cause.stage_name));
            format!("[{stage}] {why}").trim_end().to_owned()
        }
        cause => failure(cause.as_ref(), None),
    }
}

/// The outcome of the newest attempt of a stage.
fn exit_code(job: &v1::Job, stage_name: &str) -> Option<i32> {
    let mut runs = job.stage_runs.iter().rev();
    runs.find(|run| run.stage_name == stage_name)?.exit_code
}

/// Time between two moments, or until now; empty before the first.
pub(crate) fn elapsed(start: Option<Timestamp>, end: Option<Timestamp>) -> String {
    start.map_or(String::new(), |start| duration::show(between(start, end)))
}

/// For how long a stage has been running.
pub(crate) fn running_for(run: &v1::StageRun) -> Duration {
    run.start_time
        .map_or(Duration::ZERO, |start| between(start, None))
}

fn between(start: Timestamp, end: Option<Timestamp>) -> Duration {
    let start = system_time(start);
    let end = end.map_or_else(SystemTime::now, system_time);
    end.duration_since(start).unwrap_or_default()
}

/// The moment in UTC; empty when unset.
pub(crate) fn moment(at: Option<Timestamp>) -> String {
    at.map_or(String::new(), |at| {
        humantime::format_rfc3339_seconds(system_time(at)).to_string()
    })
}

/// Times before 1970 or past the system's range are shown as 1970.
fn system_time(at: Timestamp) -> SystemTime {
    let time = SystemTime::try_from(at).unwrap_or(SystemTime::UNIX_EPOCH);
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    if time < SystemTime::UNIX_EPOCH || time > last {
        return SystemTime::UNIX_EPOCH;
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_without_a_message_shows_its_exit_code() {
        let run = |stage: &str, attempt, exit_code| v1::StageRun {
            stage_name: stage.into(),
            attempt,
            exit_code,
            ..Default::default()
        };
        let mut job = v1::Job {
            failure: Some(v1::Failure {
                stage_name: "test".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(job_detail(&job), "[test]");
        job.stage_runs = vec![
            run("build", 1, Some(0)),
            run("test", 1, None),
            run("test", 2, Some(3)),
        ];
        assert_eq!(job_detail(&job), "[test] exit code 3");
    }
}
