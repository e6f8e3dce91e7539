//! What a runner may say of a stage while it holds the lease.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    domain::lease::{Directive, LeaseProof, Renewed},
    domain::{Command, Job, JobId, LeaseId, RunnerId, StageState},
    engine::LeaseError,
    engine::{Engine, Error},
};

use super::{LeaseState, LiveLease};

/// What a runner has beyond a stage's timeout and grace to report its end.
const REPORT_TIME: Duration = Duration::from_secs(5);

impl Engine {
    /// The first renewal of a lease is what makes its stage RUNNING. A lease lives from
    /// when its renewal was received: holding the answer back does not lengthen it.
    pub(super) async fn keep(
        &self,
        proof: LeaseProof,
        lease: LiveLease,
        received: Instant,
    ) -> Result<(), LeaseError> {
        let job = self.load_job(lease.job_id).await?;
        let run = job.run(lease.run).ok_or(LeaseError::Lost)?;
        let is_first = run.holder != Some(lease.holder);
        if is_first {
            self.start_stage(proof, lease).await?;
        }
        let limit = job.stage(run).timeout + self.settings.kill_grace + REPORT_TIME;
        let expires = received + self.leases.ttl;
        let is_kept = self.leases.update(proof, Instant::now(), |lease| {
            lease.state = LeaseState::Confirmed;
            lease.ends_by.get_or_insert(received + limit);
            lease.expires = lease.expires.max(expires);
        });
        if is_kept {
            return Ok(());
        }
        if is_first {
            // Given up as one that was never started, while it was: nobody else would
            // end it.
            let lease_id = LeaseId(self.ids.next(self.now()));
            self.leases.abandon(lease_id, lease, Instant::now());
        }
        Err(LeaseError::Lost)
    }

    async fn start_stage(&self, proof: LeaseProof, lease: LiveLease) -> Result<(), LeaseError> {
        let start = Command::Start {
            run: lease.run,
            holder: lease.holder,
        };
        let started = self.ask(lease.job_id, start).await;
        let Err(LeaseError::Lost) = started else {
            return started;
        };
        // A call of the same runner that overlaps with this one may have been first.
        let job = self.load_job(lease.job_id).await?;
        if self.renewed(&job, lease).is_some() {
            return Ok(());
        }
        self.drop_lease(proof.lease_id);
        started
    }

    /// What a renewal answers; none once the stage is no longer the holder's.
    pub(super) fn renewed(&self, job: &Job, lease: LiveLease) -> Option<Renewed> {
        let run = job.run(lease.run)?;
        let is_held = run.state == StageState::Running && run.holder == Some(lease.holder);
        is_held.then(|| Renewed {
            ttl: self.leases.ttl,
            directive: match job.cancellation {
                Some(_) => Directive::Cancel,
                None => Directive::Continue,
            },
            commit_id: (!job.commit_id.is_empty()).then(|| job.commit_id.clone()),
        })
    }

    pub(super) async fn ended_under(&self, lease: LiveLease) -> Result<bool, Error> {
        let job = self.load_job(lease.job_id).await?;
        Ok(job
            .run(lease.run)
            .is_some_and(|run| run.holder == Some(lease.holder) && run.state.is_terminal()))
    }

    /// The lease is over as it should be; its slot is free.
    pub(super) fn end_lease(&self, proof: LeaseProof, runner_id: RunnerId) {
        let now = Instant::now();
        self.leases.update(proof, now, |lease| {
            lease.state = LeaseState::Ended;
            lease.expires = now + self.leases.ttl;
        });
        self.waiters.of(runner_id);
    }

    pub(super) fn drop_lease(&self, lease_id: LeaseId) {
        self.leases.remove(lease_id);
        self.waiters.all();
    }

    pub(super) async fn resolve_commit(
        &self,
        lease: LiveLease,
        commit_id: Option<String>,
    ) -> Result<(), LeaseError> {
        let Some(commit_id) = commit_id else {
            return Ok(());
        };
        let resolve = Command::ResolveCommit {
            run: lease.run,
            token: lease.holder.token,
            commit_id,
        };
        self.ask(lease.job_id, resolve).await
    }

    pub(super) async fn report_progress(
        &self,
        lease: LiveLease,
        percent: Option<u8>,
    ) -> Result<(), LeaseError> {
        let Some(percent) = percent else {
            return Ok(());
        };
        let progress = Command::Progress {
            run: lease.run,
            token: lease.holder.token,
            percent,
        };
        self.ask(lease.job_id, progress).await
    }

    pub(super) async fn ask(&self, job_id: JobId, command: Command) -> Result<(), LeaseError> {
        let answer = self.command(job_id, command).await?;
        answer.map(drop).map_err(|_| LeaseError::Lost)
    }
}
