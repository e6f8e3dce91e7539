use std::{collections::BTreeMap, sync::Arc};

use crate::{
    blobs::logs::LogKey,
    domain::{Demand, Job, LogSummary, PendingReason, StageRun, StageState},
    engine::Error,
};

use super::Jobs;

/// What is known of a stage run only at the moment it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageView {
    /// Why it has not started, while it waits.
    pub pending_reason: Option<PendingReason>,
    /// Its log so far.
    pub log: LogSummary,
}

/// A job as it is now, with what is known only while it is read.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The job.
    pub job: Arc<Job>,
    /// One a stage run.
    pub stages: Vec<StageView>,
}

impl Jobs {
    /// Adds to a job what is known only while it is read.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn view(&self, job: Arc<Job>) -> Result<JobView, Error> {
        // Asked once for all stages that ask for the same of a runner.
        let mut waits = BTreeMap::new();
        let mut stages = Vec::with_capacity(job.stage_runs.len());
        for run in &job.stage_runs {
            let pending_reason = match run.state {
                StageState::Queued => {
                    let demand = Demand::of(job.stage(run));
                    let known = waits.get(&demand).copied();
                    Some(match known {
                        Some(reason) => reason,
                        None => {
                            let reason = self.roster.waits_for(job.id, &demand).await?;
                            waits.insert(demand, reason);
                            reason
                        }
                    })
                }
                _ => held_back_by(&job, run),
            };
            let key = LogKey {
                job_id: job.id,
                run: run.key(),
            };
            stages.push(StageView {
                pending_reason,
                log: self.log_summary(run, key),
            });
        }
        Ok(JobView { job, stages })
    }
}

/// Why a stage is not ready yet; none if it is, or was.
fn held_back_by(job: &Job, run: &StageRun) -> Option<PendingReason> {
    let is_over = |&stage: &usize| job.newest_run(stage).state.is_terminal();
    match run.state {
        StageState::Pending if job.pipeline.graph.direct(run.stage).iter().all(is_over) => {
            // Nothing else keeps a stage back whose needs are over.
            Some(PendingReason::Concurrency)
        }
        StageState::Pending => Some(PendingReason::Needs),
        StageState::Queued
        | StageState::Running
        | StageState::Succeeded
        | StageState::Failed
        | StageState::Cancelled
        | StageState::Skipped(_) => None,
    }
}
