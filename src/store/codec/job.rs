//! Jobs and their events. Both refer to the revision that the job runs and never
//! embed it.

use std::sync::Arc;

use crate::domain::{Change, Event, Job, Made, StageRun};

use super::{
    CodecError, Kind, Revisions, Seal,
    envelope::{pack, unpack},
    lease::{run_key_from_message, run_key_to_message},
    messages::{self, created, job_event},
    origin::{origin_from_message, origin_to_message},
    primitives::{Numbered, required, small, time_from_nanos, time_to_nanos},
    stage_run::{
        cancellation_from_message, cancellation_to_message, failure_from_message,
        failure_to_message, run_from_message, run_to_message,
    },
};

/// Encodes an event. The secrets of a created job are sealed under `jobs/ID/NAME`.
pub fn encode_event(event: &Event, seal: &dyn Seal) -> Vec<u8> {
    let Event {
        sequence,
        time,
        progress_percent,
        change,
    } = event;
    let change = match change {
        Change::Created(made) => job_event::Change::Created(made_to_message(made, seal)),
        Change::Started => job_event::Change::Started(messages::Started {}),
        Change::CommitResolved(commit) => job_event::Change::CommitResolved(commit.clone()),
        Change::Cancelling(cancellation) => {
            job_event::Change::Cancelling(cancellation_to_message(cancellation))
        }
        Change::StageRunChanged(run) => job_event::Change::StageRunChanged(run_to_message(run)),
        Change::StageProgressed { run, percent } => {
            job_event::Change::StageProgressed(messages::StageProgressed {
                run: Some(run_key_to_message(*run)),
                percent: u32::from(*percent),
            })
        }
        Change::Ended { state, failure } => job_event::Change::Ended(messages::Ended {
            state: state.number(),
            failure: failure.as_deref().map(failure_to_message),
        }),
    };
    let message = messages::JobEvent {
        sequence: *sequence,
        time: time_to_nanos(*time),
        progress_percent: u32::from(*progress_percent),
        change: Some(change),
    };
    pack(Kind::JobEvent, &message)
}

/// Decodes an event. On an error for which [`CodecError::is_from_later_version`]
/// holds, such as [`CodecError::UnknownChange`], this version must not change the
/// job.
pub fn decode_event(
    stored: &[u8],
    seal: &dyn Seal,
    revisions: Revisions<'_>,
) -> Result<Event, CodecError> {
    let messages::JobEvent {
        sequence,
        time,
        progress_percent,
        change,
    } = unpack(Kind::JobEvent, stored)?;
    let change = match change.ok_or(CodecError::UnknownChange { sequence })? {
        job_event::Change::Created(made) => {
            Change::Created(made_from_message(made, seal, revisions)?)
        }
        job_event::Change::Started(messages::Started {}) => Change::Started,
        job_event::Change::CommitResolved(commit) => Change::CommitResolved(commit),
        job_event::Change::Cancelling(cancellation) => {
            Change::Cancelling(cancellation_from_message(cancellation)?)
        }
        job_event::Change::StageRunChanged(run) => Change::StageRunChanged(run_from_message(run)?),
        job_event::Change::StageProgressed(progressed) => {
            let messages::StageProgressed { run, percent } = progressed;
            let run = required(run, "StageProgressed.run")?;
            Change::StageProgressed {
                run: run_key_from_message(run),
                percent: small(percent, "StageProgressed.percent")?,
            }
        }
        job_event::Change::Ended(messages::Ended { state, failure }) => Change::Ended {
            state: Numbered::from_number(state, "Ended.state")?,
            failure: failure.map(failure_from_message).transpose()?,
        },
    };
    Ok(Event {
        sequence,
        time: time_from_nanos(time),
        progress_percent: small(progress_percent, "JobEvent.progress_percent")?,
        change,
    })
}

/// Encodes a job as it is after the event of its last sequence. Its secrets are
/// sealed like those of its first event.
pub fn encode_snapshot(job: &Job, seal: &dyn Seal) -> Vec<u8> {
    pack(Kind::JobSnapshot, &job_to_message(job, seal))
}

/// Decodes a job. The result equals replaying its events up to its last sequence.
pub fn decode_snapshot(
    stored: &[u8],
    seal: &dyn Seal,
    revisions: Revisions<'_>,
) -> Result<Job, CodecError> {
    job_from_message(unpack(Kind::JobSnapshot, stored)?, seal, revisions)
}

fn made_to_message(made: &Made, seal: &dyn Seal) -> messages::Created {
    let made = match made {
        Made::Fresh(origin) => created::Made::Fresh(origin_to_message(origin, seal)),
        Made::Whole(job) => created::Made::Whole(job_to_message(job, seal)),
    };
    messages::Created { made: Some(made) }
}

fn made_from_message(
    created: messages::Created,
    seal: &dyn Seal,
    revisions: Revisions<'_>,
) -> Result<Made, CodecError> {
    let messages::Created { made } = created;
    let field = "Created.made";
    Ok(match made.ok_or(CodecError::UnknownCase { field })? {
        created::Made::Fresh(origin) => {
            Made::Fresh(Arc::new(origin_from_message(origin, seal, revisions)?))
        }
        created::Made::Whole(job) => Made::Whole(Arc::new(job_from_message(job, seal, revisions)?)),
    })
}

fn job_to_message(job: &Job, seal: &dyn Seal) -> messages::Job {
    let Job {
        origin,
        state,
        progress_percent,
        stage_runs,
        commit_id,
        failure,
        start_time,
        end_time,
        last_sequence,
        last_time,
        cancellation,
    } = job;
    messages::Job {
        origin: Some(origin_to_message(origin, seal)),
        state: state.number(),
        progress_percent: u32::from(*progress_percent),
        stage_runs: stage_runs.iter().map(|run| run_to_message(run)).collect(),
        commit_id: commit_id.clone(),
        failure: failure.as_deref().map(failure_to_message),
        start_time: start_time.map(time_to_nanos),
        end_time: end_time.map(time_to_nanos),
        last_sequence: *last_sequence,
        last_time: time_to_nanos(*last_time),
        cancellation: cancellation.as_deref().map(cancellation_to_message),
    }
}

fn job_from_message(
    job: messages::Job,
    seal: &dyn Seal,
    revisions: Revisions<'_>,
) -> Result<Job, CodecError> {
    let messages::Job {
        origin,
        state,
        progress_percent,
        stage_runs,
        commit_id,
        failure,
        start_time,
        end_time,
        last_sequence,
        last_time,
        cancellation,
    } = job;
    let origin = origin_from_message(required(origin, "Job.origin")?, seal, revisions)?;
    let stage_runs: Result<Vec<_>, _> = stage_runs.into_iter().map(run_from_message).collect();
    let stage_runs = stage_runs?;
    check_runs(&stage_runs, origin.pipeline.spec.stages.len())?;
    Ok(Job {
        origin: Arc::new(origin),
        state: Numbered::from_number(state, "Job.state")?,
        progress_percent: small(progress_percent, "Job.progress_percent")?,
        stage_runs,
        commit_id,
        failure: failure.map(failure_from_message).transpose()?,
        start_time: start_time.map(time_from_nanos),
        end_time: end_time.map(time_from_nanos),
        last_sequence,
        last_time: time_from_nanos(last_time),
        cancellation: cancellation.map(cancellation_from_message).transpose()?,
    })
}

/// The domain relies on this invariant, and panics where it does not hold.
fn check_runs(runs: &[Arc<StageRun>], stages: usize) -> Result<(), CodecError> {
    let keys_rise = runs.is_sorted_by(|run, next| run.key() < next.key());
    let stages_of_runs = runs.chunk_by(|run, next| run.stage == next.stage);
    if keys_rise && stages_of_runs.map(|runs| runs[0].stage).eq(0..stages) {
        return Ok(());
    }
    Err(CodecError::Invalid {
        field: "Job.stage_runs",
        found: format!("{} runs of {stages} stages", runs.len()),
        expected: "each stage in order with its attempts in order",
    })
}
