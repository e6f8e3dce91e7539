//! The facts of an ended job, for statistics.

use std::time::SystemTime;

use crate::domain::{
    FailureReason, Job, JobId, JobState, PipelineId, StageRun, StageState, StageType, TriggerSource,
};

/// The statistics record of an ended job. It is stored longer than the job, so it is small
/// and contains no free text and no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFacts {
    pub job_id: JobId,
    pub pipeline_id: PipelineId,
    pub project: String,
    pub number: i64,
    /// A terminal state.
    pub state: JobState,
    pub create_time: SystemTime,
    /// When its first stage started; none if no stage did.
    pub start_time: Option<SystemTime>,
    pub end_time: SystemTime,
    /// Milliseconds from the creation to the start, or to the end if it never started.
    pub wait_ms: u64,
    /// Milliseconds from the start to the end; 0 if it never started.
    pub run_ms: u64,
    /// Stages by the outcome of their newest attempt.
    pub stages: StageCounts,
    pub times: StageTimes,
    pub failure_reason: Option<FailureReason>,
    pub source: TriggerSource,
}

/// Numbers of stages by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCounts {
    /// Succeeded in this job.
    pub succeeded: u32,
    pub failed: u32,
    /// Cancelled after they had started.
    pub cancelled: u32,
    /// Never ran.
    pub skipped: u32,
    /// Succeeded in an earlier job and were not run again. Not included in `succeeded`.
    pub carried: u32,
}

/// Milliseconds that runners spent on stages, all attempts included, by stage type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    pub run_ms: u64,
    pub build_ms: u64,
    pub deploy_ms: u64,
}

impl JobFacts {
    /// None if the job has not ended.
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
            *total = total.saturating_add(duration_ms(run));
        }
        times
    }
}

fn duration_ms(run: &StageRun) -> u64 {
    match (run.start_time, run.end_time) {
        (Some(start), Some(end)) => millis(start, end),
        _ => 0,
    }
}

/// 0 if the clock was set back in between.
fn millis(from: SystemTime, to: SystemTime) -> u64 {
    let passed = to.duration_since(from).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}
