use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use crate::domain::{ActionKind, JobId, RunnerId};

use super::{Engine, Error, leases::LiveLease};

/// A runner as it is now.
#[derive(Clone, Debug)]
pub struct RunnerView {
    /// Names it.
    pub id: RunnerId,
    /// For people.
    pub display_name: String,
    /// What it offers.
    pub labels: BTreeMap<String, String>,
    /// The kinds of actions that it can do.
    pub actions: BTreeSet<ActionKind>,
    /// Stages that it runs at once.
    pub capacity: usize,
    /// Version of its program.
    pub version: String,
    /// It was heard of within a lease's life.
    pub is_online: bool,
    /// It is given no new jobs.
    pub is_draining: bool,
    /// The stages that it runs.
    pub stages: Vec<RunningStage>,
    /// When this process of it came.
    pub register_time: SystemTime,
    /// When it was heard of last.
    pub last_seen_time: SystemTime,
}

/// A stage that a runner holds a live lease on.
#[derive(Clone, Debug)]
pub struct RunningStage {
    /// Its job.
    pub job_id: JobId,
    /// Its name.
    pub stage_name: String,
    /// Attempt at it.
    pub attempt: u32,
    /// When the runner took it.
    pub start_time: Option<SystemTime>,
}

impl Engine {
    /// A runner that is known.
    pub async fn get_runner(&self, id: RunnerId) -> Result<RunnerView, Error> {
        let found = self.find_runner(id).await?;
        found.ok_or_else(|| Error::RunnerNotFound(id.to_string()))
    }

    /// At most `limit` runners, in the order of their ids, after `after` if given.
    pub async fn list_runners(
        &self,
        after: Option<RunnerId>,
        limit: usize,
    ) -> Result<Vec<RunnerView>, Error> {
        let ids = self.leases.runner_ids();
        let wanted = ids
            .into_iter()
            .filter(|id| after.is_none_or(|after| *id > after));
        let mut runners = Vec::new();
        for id in wanted.take(limit) {
            runners.extend(self.find_runner(id).await?);
        }
        Ok(runners)
    }

    /// Gives a runner no new jobs, or gives it jobs again.
    pub async fn drain_runner(&self, id: RunnerId, drain: bool) -> Result<RunnerView, Error> {
        let known = self.leases.set_draining(id, drain);
        known.ok_or_else(|| Error::RunnerNotFound(id.to_string()))?;
        tracing::info!(runner.id = %id, drain, "runner drained or resumed");
        // It may take what waits, or what is bound to it may go elsewhere.
        self.waiters.all();
        self.get_runner(id).await
    }

    async fn find_runner(&self, id: RunnerId) -> Result<Option<RunnerView>, Error> {
        let seen = self.leases.look(
            id,
            self.both_times(),
            |runner, is_online, last_seen_time, leases| {
                let registration = &runner.registration;
                let view = RunnerView {
                    id,
                    display_name: registration.display_name.clone(),
                    labels: registration.offer.labels.clone(),
                    actions: registration.offer.actions.clone(),
                    capacity: registration.capacity,
                    version: registration.version.clone(),
                    is_online,
                    is_draining: runner.is_draining,
                    stages: Vec::new(),
                    register_time: runner.register_time,
                    last_seen_time,
                };
                (view, leases)
            },
        );
        let Some((mut view, leases)) = seen else {
            return Ok(None);
        };
        for lease in leases {
            view.stages.extend(self.running_stage(lease).await?);
        }
        view.stages.sort_by_key(|stage| stage.start_time);
        Ok(Some(view))
    }

    async fn running_stage(&self, lease: LiveLease) -> Result<Option<RunningStage>, Error> {
        let job = self.store.job(lease.job_id).await?;
        Ok(job.and_then(|job| {
            let run = job.run(lease.run)?;
            Some(RunningStage {
                job_id: job.id,
                stage_name: job.stage(run).name.clone(),
                attempt: run.attempt,
                start_time: run.start_time,
            })
        }))
    }
}
