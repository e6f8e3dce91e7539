//! How a runner gets a stage.

use tokio::time::{self, Instant};

use crate::{
    domain::{
        Job, LeaseId, StageState,
        lease::{Acquired, Lease, LeaseProof, WorkRequest},
        limits,
    },
    engine::Error,
    store::{Acquisition, LeaseRequest, LeaseRow, NotOffered},
};

use super::{LeaseError, Runners, work::stage_work};

impl Runners {
    pub(super) async fn acquired(
        &self,
        owner: &str,
        request: WorkRequest,
    ) -> Result<Acquired, LeaseError> {
        let received = Instant::now();
        let until = received + request.max_wait.min(limits::MAX_WORK_WAIT);
        let (id, session_id) = (request.runner_id, request.session_id);
        let store = self.journal.store();
        let seen = store.seen(id, session_id, owner, self.now()).await;
        if !seen.map_err(Error::from)? {
            return Err(LeaseError::Unregistered);
        }
        if request.leaving {
            store.set_draining(id, true).await.map_err(Error::from)?;
        }
        let runner = store.runner(id).await.map_err(Error::from)?;
        let runner = runner.ok_or(LeaseError::Unregistered)?;
        let offer = runner.row.registration.offer.clone();
        // Before the first look, so that no wake-up is missed in between.
        let held = request.held_jobs.clone();
        let waiter = self.waiters.wait(id, session_id, offer, held);
        loop {
            if self.lifecycle.is_stopping() {
                return Err(LeaseError::Stopping);
            }
            // First, and alone: work of a job whose old workspace is still there has to
            // find it gone.
            let ended_jobs = store.gone_jobs(id, &request.held_jobs).await;
            let ended_jobs = ended_jobs.map_err(Error::from)?;
            if !ended_jobs.is_empty() {
                return Ok(Acquired {
                    lease: None,
                    ended_jobs,
                });
            }
            if let Some(lease) = self.next_lease(&request, received).await? {
                return Ok(Acquired {
                    lease: Some(lease),
                    ended_jobs,
                });
            }
            if time::timeout_at(until, waiter.woken()).await.is_err() {
                return Ok(Acquired::default());
            }
        }
    }

    /// A lease for the session, the one that the request got before if there is one.
    ///
    /// The offer is one step of the store, with the lease as a row: a caller that goes away
    /// leaves an offer that is never confirmed, which is released when its time is up.
    async fn next_lease(
        &self,
        request: &WorkRequest,
        received: Instant,
    ) -> Result<Option<Lease>, LeaseError> {
        loop {
            let now = self.now();
            let offered = self.journal.store().offer(LeaseRequest {
                runner_id: request.runner_id,
                session_id: request.session_id,
                request_id: request.request_id,
                lease_id: LeaseId(self.journal.environment().new_id()),
                now,
                expires: now + self.settings.lease_ttl / 2,
            });
            let lease = match offered.await.map_err(Error::from)? {
                Acquisition::Lease(lease) => lease,
                Acquisition::None(NotOffered::Unregistered) => {
                    return Err(LeaseError::Unregistered);
                }
                Acquisition::None(NotOffered::NothingReady | NotOffered::NoRoom) => {
                    return Ok(None);
                }
            };
            if let Some(job) = self.still_wanted(lease).await? {
                return Ok(self.lease(lease, &job, received));
            }
        }
    }

    /// The job of an offered stage; none if the stage is not to run after all, and then the
    /// offer is released.
    async fn still_wanted(&self, lease: LeaseRow) -> Result<Option<std::sync::Arc<Job>>, Error> {
        // It may have become ready since a workspace that it builds on was lost.
        self.fail_what_is_stranded(lease.stage.job_id).await?;
        let store = self.journal.store();
        let job = store.job(lease.stage.job_id).await?;
        let is_wanted = |job: &Job| {
            let run = job.run(lease.stage.run);
            // A repeated request may find it running.
            run.is_some_and(|run| matches!(run.state, StageState::Queued | StageState::Running))
        };
        if let Some(job) = job.filter(|job| is_wanted(job)) {
            return Ok(Some(job));
        }
        store.release(lease.id, lease.token).await?;
        Ok(None)
    }

    fn lease(&self, lease: LeaseRow, job: &Job, received: Instant) -> Option<Lease> {
        let run = job.run(lease.stage.run)?;
        let expires = self.journal.environment().instant_of(lease.expires);
        let grace = self.settings.kill_grace;
        Some(Lease {
            proof: LeaseProof {
                lease_id: lease.id,
                token: lease.token,
            },
            // What is left of it, and the time for which the call was held: the runner
            // counts from when it sent the call.
            ttl: expires.saturating_duration_since(received),
            work: stage_work(job, run, lease.token, grace, lease.workspace_exists),
        })
    }
}
