//! How a runner gets a stage.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::Instant;

use crate::{
    domain::lease::{Lease, LeaseProof, WorkRequest},
    domain::{FencingToken, Holder, Job, JobId, LeaseId, RunnerId, StageRun, StageState},
    engine::LeaseError,
    engine::{Engine, Error},
    store::{Claim, ReadyStage},
};

use super::{LeaseState, LiveLease, work::stage_work};

impl Engine {
    /// A lease for the session, the one that the request got before if there is one.
    pub(super) async fn next_lease(
        &self,
        request: &WorkRequest,
        received: Instant,
    ) -> Result<Option<Lease>, LeaseError> {
        let id = request.runner_id;
        if let Some((proof, lease)) = self.leases.answered(id, request.request_id, Instant::now()) {
            let job = self.load_job(lease.job_id).await?;
            return Ok(self.lease(proof, lease, &job, received));
        }
        let Some(claim) = self.leases.room(id, request.session_id)? else {
            return Ok(None);
        };
        let Some(engine) = self.me.upgrade() else {
            return Err(LeaseError::Stopping);
        };
        let request = request.clone();
        // A task of its own: a caller that goes away between the claim and the lease
        // would take the stage with it.
        let given = tokio::spawn(async move { engine.give(claim, request, received).await });
        given
            .await
            .unwrap_or_else(|error| match error.is_cancelled() {
                // Nobody cancels it but the end of the process.
                true => Err(LeaseError::Stopping),
                false => Err(LeaseError::Failed(error.to_string())),
            })
    }

    async fn give(
        self: Arc<Self>,
        claim: Claim,
        request: WorkRequest,
        received: Instant,
    ) -> Result<Option<Lease>, LeaseError> {
        while let Some(ready) = self.store.claim(&claim).await.map_err(Error::from)? {
            match self.grant(ready, &claim, &request, received).await {
                Ok(Granted::Lease(lease)) => return Ok(Some(*lease)),
                Ok(Granted::NotReady) => {}
                Ok(Granted::NoRoom) => {
                    self.put_back_surely(ready, claim.runner_id).await;
                    return Ok(None);
                }
                Err(error) => {
                    self.put_back_surely(ready, claim.runner_id).await;
                    return Err(error.into());
                }
            }
        }
        Ok(None)
    }

    async fn grant(
        &self,
        ready: ReadyStage,
        claim: &Claim,
        request: &WorkRequest,
        received: Instant,
    ) -> Result<Granted, Error> {
        // It may have become ready since the workspace was lost.
        self.fail_what_is_stranded(ready.job_id).await?;
        let Some(job) = self.store.job(ready.job_id).await? else {
            return Ok(Granted::NotReady);
        };
        // One that was cancelled since it was queued is passed over.
        let waits = |run: &&Arc<StageRun>| run.state == StageState::Queued;
        if job.run(ready.run).filter(waits).is_none() {
            return Ok(Granted::NotReady);
        }
        let runner_id = request.runner_id;
        let token = FencingToken(self.next_token.fetch_add(1, Ordering::Relaxed));
        let proof = LeaseProof {
            lease_id: LeaseId(self.ids.next(self.now())),
            token,
        };
        let lease = LiveLease {
            job_id: job.id,
            run: ready.run,
            holder: Holder { runner_id, token },
            request_id: request.request_id,
            workspace_exists: self.has_workspace(&job, runner_id),
            state: LeaseState::Offered,
            expires: Instant::now() + self.leases.ttl / 2,
            ends_by: None,
            overran: false,
        };
        let session_id = request.session_id;
        if !self.leases.grant(proof.lease_id, session_id, lease, claim) {
            return Ok(Granted::NoRoom);
        }
        let lease = self.lease(proof, lease, &job, received);
        Ok(lease.map_or(Granted::NotReady, |lease| Granted::Lease(Box::new(lease))))
    }

    fn lease(
        &self,
        proof: LeaseProof,
        lease: LiveLease,
        job: &Job,
        received: Instant,
    ) -> Option<Lease> {
        let run = job.run(lease.run)?;
        let left = lease.expires.saturating_duration_since(received);
        let grace = self.settings.kill_grace;
        Some(Lease {
            proof,
            // What is left of it, and the time for which the call was held: the runner
            // counts from when it sent the call.
            ttl: left,
            work: stage_work(job, run, proof.token, grace, lease.workspace_exists),
        })
    }

    /// Those of the held jobs whose workspaces the runner is to remove: the job is
    /// over, or its work was given to others since.
    pub(super) async fn over_for(&self, id: RunnerId, held: &[JobId]) -> Result<Vec<JobId>, Error> {
        let mut over = Vec::new();
        for &job_id in held {
            let job = self.store.job(job_id).await?;
            let is_over = job.is_none_or(|job| job.state.is_terminal());
            if is_over || self.was_taken_from(job_id, id).await? {
                over.push(job_id);
            }
        }
        Ok(over)
    }

    async fn was_taken_from(&self, job_id: JobId, id: RunnerId) -> Result<bool, Error> {
        let lost = self.leases.lost_workspaces(job_id);
        if !lost.iter().any(|lost| lost.runner_id == id) {
            return Ok(false);
        }
        // One that it took up again since is in use.
        let bound = self.store.bindings(job_id).await?;
        Ok(!bound.iter().any(|(runner_id, _)| *runner_id == id))
    }

    /// Whether a stage of the job ran on this runner, in a workspace that it still has.
    pub(super) fn has_workspace(&self, job: &Job, runner_id: RunnerId) -> bool {
        let lost = self.leases.lost_workspaces(job.id);
        job.stage_runs.iter().any(|run| {
            let is_lost = |holder: Holder| {
                lost.iter()
                    .any(|lost| lost.runner_id == runner_id && holder.token < lost.before)
            };
            let holder = run.holder.filter(|_| run.carried_from.is_none());
            holder.is_some_and(|holder| holder.runner_id == runner_id && !is_lost(holder))
        })
    }
}

/// What became of a stage that was claimed.
enum Granted {
    Lease(Box<Lease>),
    /// It no longer waits.
    NotReady,
    /// The session took its last slot in the meantime.
    NoRoom,
}
