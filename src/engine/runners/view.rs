use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use crate::{
    domain::{ActionKind, JobId, RunnerId},
    engine::Error,
    store::{KnownRunner, LeaseRow, LeaseState},
};

use super::Runners;

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
    /// Stages that it can run concurrently.
    pub capacity: usize,
    /// Version of its program.
    pub version: String,
    /// It was heard of within a lease's life, and has not left since.
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

impl Runners {
    /// A runner that is known.
    ///
    /// # Errors
    /// If there is none, or the store fails.
    pub async fn get(&self, id: RunnerId) -> Result<RunnerView, Error> {
        let known = self.journal.store().runner(id).await?;
        let known = known.ok_or_else(|| Error::RunnerNotFound(id.to_string()))?;
        self.view(known).await
    }

    /// At most `limit` runners, in the order of their ids, after `after` if given.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(
        &self,
        after: Option<RunnerId>,
        limit: usize,
    ) -> Result<Vec<RunnerView>, Error> {
        let mut runners = Vec::new();
        for known in self.journal.store().list_runners(after, limit).await? {
            runners.push(self.view(known).await?);
        }
        Ok(runners)
    }

    /// Gives a runner no new jobs, or gives it jobs again.
    ///
    /// # Errors
    /// If there is none, or the store fails.
    pub async fn drain(&self, id: RunnerId, drain: bool) -> Result<RunnerView, Error> {
        if !self.journal.store().set_draining(id, drain).await? {
            return Err(Error::RunnerNotFound(id.to_string()));
        }
        tracing::info!(runner.id = %id, drain, "runner drained or resumed");
        self.get(id).await
    }

    async fn view(&self, known: KnownRunner) -> Result<RunnerView, Error> {
        let KnownRunner { row, leases } = known;
        let now = self.now();
        let registration = &row.registration;
        let waits = self.roster.waits();
        let presence = self.roster.presence(&waits);
        let has_live_lease = || leases.iter().any(|lease| lease.is_live(now));
        let is_online = self.roster.is_present(&row, presence) || !row.has_left && has_live_lease();
        let mut stages = Vec::new();
        let confirmed =
            |lease: &&LeaseRow| lease.state == LeaseState::Confirmed && lease.is_live(now);
        for lease in leases.iter().filter(confirmed) {
            stages.extend(self.running_stage(lease).await?);
        }
        stages.sort_by_key(|stage| stage.start_time);
        Ok(RunnerView {
            id: row.id,
            display_name: registration.display_name.clone(),
            labels: registration.offer.labels.clone(),
            actions: registration.offer.actions.clone(),
            capacity: registration.capacity,
            version: registration.version.clone(),
            is_online,
            is_draining: row.is_draining,
            stages,
            register_time: row.register_time,
            last_seen_time: self.last_seen(&row),
        })
    }

    /// By the wall clock.
    fn last_seen(&self, row: &crate::store::RunnerRow) -> SystemTime {
        let wall = self.journal.environment().now();
        let silence = self.now().duration_since(row.last_seen).unwrap_or_default();
        let waited = self.waiters.waited(row.id, row.registration.session_id);
        let silence = waited.map_or(silence, |waited| silence.min(waited.elapsed()));
        wall.checked_sub(silence).unwrap_or(wall)
    }

    async fn running_stage(&self, lease: &LeaseRow) -> Result<Option<RunningStage>, Error> {
        let job = self.journal.store().job(lease.stage.job_id).await?;
        Ok(job.and_then(|job| {
            let run = job.run(lease.stage.run)?;
            Some(RunningStage {
                job_id: job.id,
                stage_name: job.stage(run).name.clone(),
                attempt: run.attempt,
                start_time: run.start_time,
            })
        }))
    }
}
