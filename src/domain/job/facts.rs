//! What statistics need of a job, once it has ended.

use std::time::SystemTime;

use crate::domain::{
    FailureReason, Job, JobId, JobState, PipelineId, StageRun, StageState, StageType, TriggerSource,
};

/// One ended job in numbers. Small and free of free text and secrets: it outlives the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFacts {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The project of the pipeline.
    pub project: String,
    /// Number of the job within its pipeline.
    pub number: i64,
    /// How it ended: a terminal state.
    pub state: JobState,
    /// When it was created.
    pub create_time: SystemTime,
    /// When its first stage started; none if no stage did.
    pub start_time: Option<SystemTime>,
    /// When it ended.
    pub end_time: SystemTime,
    /// Milliseconds from the creation to the start, or to the end if it never started.
    pub wait_ms: u64,
    /// Milliseconds from the start to the end; 0 if it never started.
    pub run_ms: u64,
    /// Its stages by how the newest attempt at each ended.
    pub stages: StageCounts,
    /// What its stages took.
    pub times: StageTimes,
    /// Why it failed, if it did.
    pub failure_reason: Option<FailureReason>,
    /// What asked for it.
    pub source: TriggerSource,
}

/// Stages by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCounts {
    /// Succeeded in this job.
    pub succeeded: u32,
    /// Failed.
    pub failed: u32,
    /// Cancelled after they had started.
    pub cancelled: u32,
    /// Never ran.
    pub skipped: u32,
    /// Succeeded in an earlier job and were not run again, so they are not in `succeeded`.
    pub carried: u32,
}

/// Milliseconds that runners spent on stages, all attempts counted, by type of the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// On [`StageType::Run`].
    pub run_ms: u64,
    /// On [`StageType::Build`].
    pub build_ms: u64,
    /// On [`StageType::Deploy`].
    pub deploy_ms: u64,
}

impl JobFacts {
    /// The facts of a job; none while it has not ended.
    pub fn of(job: &Job) -> Option<Self> {
        let end_time = job.end_time.filter(|_| job.state.is_terminal())?;
        Some(Self {
            job_id: job.id,
            pipeline_id: job.pipeline.id,
            project: job.pipeline.project.clone(),
            number: job.number,
            state: job.state,
            create_time: job.create_time,
            start_time: job.start_time,
            end_time,
            wait_ms: millis(job.create_time, job.start_time.unwrap_or(end_time)),
            run_ms: job.start_time.map_or(0, |start| millis(start, end_time)),
            stages: StageCounts::of(job),
            times: StageTimes::of(job),
            failure_reason: job.failure.as_ref().map(|failure| failure.reason),
            source: job.trigger.source,
        })
    }
}

impl StageCounts {
    fn of(job: &Job) -> Self {
        let mut counts = Self::default();
        for run in job.newest_runs() {
            let count = match run.state {
                StageState::Succeeded if run.carried_from.is_some() => &mut counts.carried,
                StageState::Succeeded => &mut counts.succeeded,
                StageState::Failed => &mut counts.failed,
                StageState::Cancelled => &mut counts.cancelled,
                StageState::Skipped(_) => &mut counts.skipped,
                // An ended job has no such stage.
                StageState::Pending | StageState::Queued | StageState::Running => continue,
            };
            *count += 1;
        }
        counts
    }
}

impl StageTimes {
    fn of(job: &Job) -> Self {
        let mut times = Self::default();
        let own = job
            .stage_runs
            .iter()
            .filter(|run| run.carried_from.is_none());
        for run in own {
            let total = match job.stage(run).stage_type {
                StageType::Run => &mut times.run_ms,
                StageType::Build => &mut times.build_ms,
                StageType::Deploy => &mut times.deploy_ms,
            };
            *total = total.saturating_add(took(run));
        }
        times
    }
}

fn took(run: &StageRun) -> u64 {
    match (run.start_time, run.end_time) {
        (Some(start), Some(end)) => millis(start, end),
        _ => 0,
    }
}

/// 0 if the clock went back in between.
fn millis(from: SystemTime, to: SystemTime) -> u64 {
    let passed = to.duration_since(from).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}
