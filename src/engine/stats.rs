//! Metrics: counters that are updated as things happen, and gauges that are read on
//! request.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use metrics::{counter, histogram};

use crate::{
    blobs::logs::LogStore,
    domain::{Job, JobState, StageRun, StageState},
    store::{Change, Store, Usage},
    telemetry::metrics::{
        JOB_DURATION, JOBS_CREATED, JOBS_ENDED, STAGE_DURATION, STAGE_WAIT, STAGES_ENDED,
    },
};

use super::{
    Error, environment::Environment, journal::Subscriber, runners::Roster, signals::Signals,
};

/// The present values of the gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Stages that wait for a runner.
    pub queued_stages: usize,
    /// How long the stage at the head of the queue has waited; zero without one.
    pub queue_age: Duration,
    /// Stages that a runner holds a lease on.
    pub running_stages: usize,
    /// Runners that were seen within the lifetime of a lease.
    pub online_runners: usize,
    pub offline_runners: usize,
    /// Open streams that watch a job or read a log.
    pub watchers: usize,
    /// Bytes of all stored logs.
    pub log_bytes: u64,
    /// Bytes of memory that stored pipelines, jobs and records take.
    pub memory: Usage,
}

/// Reads the gauges.
pub(super) struct Observer {
    pub(super) store: Arc<dyn Store>,
    pub(super) environment: Environment,
    pub(super) roster: Arc<Roster>,
    pub(super) signals: Arc<Signals>,
    pub(super) logs: Arc<dyn LogStore>,
}

impl Observer {
    /// Reads the present values. The cost is proportional to the number of runners.
    pub(super) async fn stats(&self) -> Result<Stats, Error> {
        let mut stats = Stats {
            queued_stages: self.store.ready_stages().await?,
            queue_age: self.queue_age().await?,
            watchers: self.signals.watchers(),
            log_bytes: self.logs.stored(),
            memory: self.store.usage().await?,
            ..Stats::default()
        };
        let waits = self.roster.waits();
        let presence = self.roster.presence(&waits);
        for known in self.store.list_runners(None, usize::MAX).await? {
            let held = known
                .leases
                .iter()
                .filter(|lease| lease.is_live(presence.now));
            let held = held.count();
            stats.running_stages += held;
            if held > 0 && !known.row.has_left || self.roster.is_present(&known.row, presence) {
                stats.online_runners += 1;
            } else {
                stats.offline_runners += 1;
            }
        }
        Ok(stats)
    }

    async fn queue_age(&self) -> Result<Duration, Error> {
        let Some(head) = self.store.head_of_queue().await? else {
            return Ok(Duration::ZERO);
        };
        let job = self.store.job(head.job_id).await?;
        let queued = job.and_then(|job| job.run(head.run)?.queue_time);
        let age = queued.and_then(|queued| self.environment.now().duration_since(queued).ok());
        Ok(age.unwrap_or_default())
    }
}

/// Counts what commits change.
pub(super) struct Counters;

impl Subscriber for Counters {
    fn changed(&self, change: &Change) {
        let Change::Job(change) = change else { return };
        if change.is_new {
            counter!(JOBS_CREATED).increment(1);
            let job = &change.job;
            tracing::info!(job.id = %job.id, pipeline = job.pipeline.spec.name,
                number = job.number, "job created");
        }
        let runs = change.runs.iter().filter_map(|run| stage_changed(run));
        runs.for_each(|count| count.add());
        if change.is_over {
            let job = &change.job;
            tracing::info!(job.id = %job.id, job.state = ?job.state, "job ended");
            job_ended(job).iter().for_each(Count::add);
        }
    }
}

/// What a change adds to the metrics.
enum Count {
    JobEnded(&'static str, Duration),
    /// The time that it waited.
    StageStarted(Duration),
    /// The time that it ran, if it had begun.
    StageEnded(&'static str, Option<Duration>),
}

impl Count {
    fn add(&self) {
        match *self {
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
