//! Numbers about what goes on, for whoever watches the service.

use std::time::{Duration, SystemTime};

use metrics::{counter, histogram};

use crate::{
    domain::{Change, Job, JobState, StageRun, StageState},
    store::JobWrite,
    telemetry::metrics::{
        JOB_DURATION, JOBS_CREATED, JOBS_ENDED, STAGE_DURATION, STAGE_WAIT, STAGES_ENDED,
    },
};

use super::{Engine, Error};

/// What is at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Stages that wait for a runner.
    pub queued_stages: usize,
    /// How long the one at the head of the queue has waited; zero without one.
    pub queue_age: Duration,
    /// Stages that a runner holds a lease on.
    pub running_stages: usize,
    /// Runners that were heard of within the life of a lease.
    pub online_runners: usize,
    /// Runners that went silent.
    pub offline_runners: usize,
    /// Open streams that watch a job or read a log.
    pub watchers: usize,
    /// Bytes of all logs that are kept.
    pub log_bytes: u64,
}

impl Engine {
    /// Looks around. Costs as much as there are runners.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn stats(&self) -> Result<Stats, Error> {
        let runners = self.leases.count(self.both_times().instant);
        Ok(Stats {
            queued_stages: self.store.ready_stages().await?,
            queue_age: self.queue_age().await?,
            running_stages: runners.leases,
            online_runners: runners.online,
            offline_runners: runners.offline,
            watchers: self.signals.watchers(),
            log_bytes: self.logs.stored(),
        })
    }

    async fn queue_age(&self) -> Result<Duration, Error> {
        let Some(head) = self.store.head_of_queue().await? else {
            return Ok(Duration::ZERO);
        };
        let job = self.store.job(head.job_id).await?;
        let queued = job.and_then(|job| job.run(head.run)?.queue_time);
        let age = queued.and_then(|queued| self.now().duration_since(queued).ok());
        Ok(age.unwrap_or_default())
    }
}

/// What a committed change adds to the numbers.
pub(super) enum Count {
    JobCreated,
    JobEnded(&'static str, Duration),
    /// How long it had waited.
    StageStarted(Duration),
    /// How long it had run, if it had begun.
    StageEnded(&'static str, Option<Duration>),
}

impl Count {
    pub(super) fn add(&self) {
        match *self {
            Self::JobCreated => counter!(JOBS_CREATED).increment(1),
            Self::JobEnded(state, took) => {
                counter!(JOBS_ENDED, "state" => state).increment(1);
                histogram!(JOB_DURATION, "state" => state).record(took);
            }
            Self::StageStarted(waited) => histogram!(STAGE_WAIT).record(waited),
            Self::StageEnded(state, took) => {
                counter!(STAGES_ENDED, "state" => state).increment(1);
                if let Some(took) = took {
                    histogram!(STAGE_DURATION, "state" => state).record(took);
                }
            }
        }
    }
}

/// What a change adds to the numbers once it is committed.
pub(super) fn counts(write: &JobWrite) -> Vec<Count> {
    let of = |change: &Change| match change {
        Change::Created(_) => Some(Count::JobCreated),
        Change::Ended { .. } => job_ended(&write.job),
        Change::StageRunChanged(run) => stage_changed(run),
        Change::Started
        | Change::CommitResolved(_)
        | Change::Cancelling(_)
        | Change::StageProgressed { .. } => None,
    };
    let events = write.events.iter();
    events.filter_map(|event| of(&event.change)).collect()
}

fn job_ended(job: &Job) -> Option<Count> {
    let state = match job.state {
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Queued | JobState::Running | JobState::Cancelling => return None,
    };
    Some(Count::JobEnded(
        state,
        between(job.create_time, job.end_time?),
    ))
}

fn stage_changed(run: &StageRun) -> Option<Count> {
    let state = match run.state {
        StageState::Running => {
            return Some(Count::StageStarted(between(
                run.queue_time?,
                run.start_time?,
            )));
        }
        StageState::Succeeded => "succeeded",
        StageState::Failed => "failed",
        StageState::Cancelled => "cancelled",
        StageState::Skipped(_) => "skipped",
        StageState::Pending | StageState::Queued => return None,
    };
    let took = run.start_time.zip(run.end_time);
    Some(Count::StageEnded(
        state,
        took.map(|(start, end)| between(start, end)),
    ))
}

fn between(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}
