//! What becomes of leases that are over, and of workspaces whose runner is gone.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use crate::{
    domain::{
        Command, FencingToken, JobId, LeaseId, LostWorkspace, Outcome, RunnerId, StageResult,
    },
    engine::{Engine, Error},
    store::ReadyStage,
};

use super::LiveLease;

/// Time until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Gives up leases as they run out, and the workspaces of runners that went silent.
/// `changed` wakes it when something may be due earlier than it was.
pub(in crate::engine) async fn expire(engine: Weak<Engine>, changed: Arc<Notify>) {
    loop {
        // Registered before the look, so that nothing that becomes due is missed.
        let woken = changed.notified();
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let next = engine.give_up_what_is_over().await;
        // Not kept through the wait: the engine ends with its last user.
        drop(engine);
        let _ = time::timeout_at(next, woken).await;
    }
}

impl Engine {
    /// Answers with the time of the next look.
    async fn give_up_what_is_over(&self) -> Instant {
        let now = Instant::now();
        for (lease_id, lease) in self.leases.due(now) {
            match self.settle(lease).await {
                Ok(()) => self.drop_lease(lease_id),
                Err(error) => self.settle_later(lease_id, &error),
            }
        }
        // A runner that goes silent from now on is so after this time: nobody tells.
        let mut next = now + self.leases.ttl;
        for runner_id in self.leases.silent(now) {
            if let Err(error) = self.forsake(runner_id).await {
                tracing::error!(%error, runner.id = %runner_id, "its workspaces are not given up");
                next = now + AGAIN;
            }
        }
        let due = self.leases.next_due(now);
        due.map_or(next, |due| due.min(next))
    }

    fn settle_later(&self, lease_id: LeaseId, error: &Error) {
        tracing::error!(%error, lease.id = %lease_id, "a stage without a lease is not given up yet");
        self.leases.postpone(lease_id, Instant::now() + AGAIN);
    }

    /// Gives up the stage of a lease that is void.
    async fn settle(&self, lease: LiveLease) -> Result<(), Error> {
        let (job_id, runner_id) = (lease.job_id, lease.holder.runner_id);
        let job = match self.load_job(job_id).await {
            Err(Error::JobNotFound(_)) => return Ok(()),
            job => job?,
        };
        let held = job
            .run(lease.run)
            .filter(|run| run.holder == Some(lease.holder));
        let Some(run) = held else {
            // It was not confirmed: somebody else gets it, and it counts as no attempt.
            let (job_id, run) = (job_id, lease.run);
            return self.put_back(ReadyStage { job_id, run }, runner_id).await;
        };
        tracing::warn!(job.id = %job_id, stage = ?job.stage(run).name, attempt = run.attempt,
            runner.id = %runner_id, overran = lease.overran, "stage taken from its runner");
        let log_size = self.logs.size(lease.log_key());
        if !lease.overran {
            // Noted first: whoever is given the next attempt is not sent to it.
            let before = FencingToken(lease.holder.token.0 + 1);
            self.note_lost(job_id, runner_id, before).await?;
        }
        // Refused if the stage has ended, by a word that came just in time.
        let _ = self.command(job_id, over(lease, log_size)).await?;
        self.logs.close(lease.log_key()).await;
        self.fail_what_is_stranded(job_id).await
    }

    /// Puts a stage back that was given out and not started.
    pub(super) async fn put_back(
        &self,
        ready: ReadyStage,
        runner_id: RunnerId,
    ) -> Result<(), Error> {
        self.store.unclaim(ready).await?;
        self.let_go(ready.job_id, runner_id).await
    }

    /// Puts a stage back, by the task that gives up leases if the store cannot do it now.
    pub(super) async fn put_back_surely(&self, ready: ReadyStage, runner_id: RunnerId) {
        let Err(error) = self.put_back(ready, runner_id).await else {
            return;
        };
        let lease_id = LeaseId(self.ids.next(self.now()));
        let until = Instant::now() + AGAIN;
        let never_given = LiveLease::never_given(ready, runner_id, until);
        self.leases.abandon(lease_id, never_given, until);
        tracing::error!(%error, job.id = %ready.job_id, "a stage is not put back yet");
    }

    /// Lets a job go from a runner on which nothing of it was started, nor may be in a
    /// moment.
    async fn let_go(&self, job_id: JobId, runner_id: RunnerId) -> Result<(), Error> {
        if let Some(job) = self.store.job(job_id).await?
            && !self.has_workspace(&job, runner_id)
            && !self.leases.has_stage_of(job_id, runner_id, Instant::now())
        {
            self.store.unbind(job_id, runner_id).await?;
        }
        self.waiters.all();
        Ok(())
    }

    /// A runner gave a stage back: either it has nothing of the job, or it no longer
    /// has the workspace that it was told to use.
    pub(super) async fn give_up_workspace(&self, lease: LiveLease) -> Result<(), Error> {
        let (job_id, runner_id) = (lease.job_id, lease.holder.runner_id);
        if !lease.workspace_exists {
            return self.let_go(job_id, runner_id).await;
        }
        self.note_lost(job_id, runner_id, lease.holder.token)
            .await?;
        self.fail_what_is_stranded(job_id).await
    }

    /// Gives up all workspaces of a runner that is gone.
    pub(super) async fn forsake(&self, runner_id: RunnerId) -> Result<(), Error> {
        for job_id in self.store.bound_jobs(runner_id).await? {
            let before = FencingToken(self.next_token.load(Ordering::Relaxed));
            self.note_lost(job_id, runner_id, before).await?;
            self.fail_what_is_stranded(job_id).await?;
        }
        Ok(())
    }

    async fn note_lost(
        &self,
        job_id: JobId,
        runner_id: RunnerId,
        before: FencingToken,
    ) -> Result<(), Error> {
        let bound = self.store.bindings(job_id).await?;
        let offer = bound.into_iter().find(|(id, _)| *id == runner_id);
        let lost = LostWorkspace {
            runner_id,
            offer: offer.map_or_else(|| self.leases.offer(runner_id), |(_, offer)| offer),
            before,
        };
        self.leases.lose(job_id, lost);
        self.store.unbind(job_id, runner_id).await?;
        self.waiters.all();
        Ok(())
    }

    /// Fails ready stages of a job that build on a workspace that is gone.
    pub(in crate::engine) async fn fail_what_is_stranded(
        &self,
        job_id: JobId,
    ) -> Result<(), Error> {
        for lost in self.leases.lost_workspaces(job_id) {
            let is_over = match self.command(job_id, Command::LoseWorkspace(lost)).await {
                Err(Error::JobNotFound(_)) => true,
                // Never refused: a job that has ended has nothing to lose.
                answer => answer?.is_ok_and(|job| job.state.is_terminal()),
            };
            if is_over {
                // It may have been noted after the job's end.
                self.leases.forget(job_id);
                break;
            }
        }
        Ok(())
    }
}

/// What a lease that is over means for its stage.
fn over(lease: LiveLease, log_size: u64) -> Command {
    let (run, token) = (lease.run, lease.holder.token);
    if !lease.overran {
        return Command::Lose {
            run,
            token,
            log_size,
        };
    }
    let message = "ran longer than its timeout, and its runner did not end it in time";
    Command::Finish {
        run,
        token,
        result: StageResult {
            outcome: Outcome::TimedOut,
            exit_code: None,
            message: message.to_owned(),
            log_size,
        },
    }
}
