//! What becomes of leases that are void, and of workspaces whose runner is gone.

use std::sync::Arc;

use crate::{
    domain::{
        Command, FencingToken, Job, JobId, LogSummary, LostWorkspace, Offer, Outcome, RunnerId,
        StageResult,
    },
    engine::{Error, journal::Conflicts},
    store::{Batch, LeaseRow, LeaseState, LeaseWrite, Write},
};

use super::{
    Runners, log_key,
    writes::{Decisions, lose},
};

impl Runners {
    /// Gives up the stage of a lease that is void.
    pub(super) async fn settle(&self, lease: LeaseRow) -> Result<(), Error> {
        if !matches!(
            lease.state,
            LeaseState::Void {
                was_confirmed: true
            }
        ) {
            // It was not confirmed: another runner gets it, and it counts as no attempt.
            let released = self.journal.store().release(lease.id, lease.token).await;
            return Ok(released?);
        }
        let key = log_key(lease);
        let log = self.complete_log(key, self.logs.size(key)).await;
        let mut conflicts = Conflicts::default();
        loop {
            let job = self.journal.store().job(lease.stage.job_id).await?;
            let writes = self.settlement(lease, log, job).await?;
            match self.journal.commit(Batch::of(writes)).await {
                Ok(()) => return Ok(()),
                Err(error) => conflicts.again(error).await?,
            }
        }
    }

    async fn settlement(
        &self,
        lease: LeaseRow,
        log: LogSummary,
        job: Option<Arc<Job>>,
    ) -> Result<Vec<Write>, Error> {
        let settle = LeaseWrite::Settle {
            id: lease.id,
            token: lease.token,
        };
        let mut writes = vec![Write::Lease(settle)];
        let Some(job) = job else {
            return Ok(writes);
        };
        let mut decisions = Decisions::on(&job, self.journal.environment().now());
        // Refused if the stage has ended, by a word that came just in time.
        if decisions.then(over(lease, log)).is_ok() {
            tracing::warn!(job.id = %job.id, run = ?lease.stage.run, overran = lease.overran,
                runner.id = %lease.runner_id, "stage taken from its runner");
        }
        if !lease.overran {
            let before = FencingToken(lease.token.0 + 1);
            let lost = self.lost_workspace(lease, before).await?;
            writes.push(lose(&mut decisions, lost));
        }
        writes.extend(decisions.into_write());
        Ok(writes)
    }

    /// Gives up all workspaces of a runner that is gone.
    pub(in crate::engine) async fn forsake(&self, runner_id: RunnerId) -> Result<(), Error> {
        let store = self.journal.store();
        for job_id in store.bound_jobs(runner_id).await? {
            let before = store.next_token().await?;
            let mut conflicts = Conflicts::default();
            loop {
                let lost = self.workspace_lost(job_id, runner_id, before).await?;
                let Some(job) = store.job(job_id).await? else {
                    break;
                };
                let mut decisions = Decisions::on(&job, self.journal.environment().now());
                let mut writes = vec![lose(&mut decisions, lost)];
                writes.extend(decisions.into_write());
                match self.journal.commit(Batch::of(writes)).await {
                    Ok(()) => break,
                    Err(error) => conflicts.again(error).await?,
                }
            }
        }
        Ok(())
    }

    /// A runner's workspace of a job, with what the runner offered when it took the job up.
    pub(super) async fn workspace_lost(
        &self,
        job_id: JobId,
        runner_id: RunnerId,
        before: FencingToken,
    ) -> Result<LostWorkspace, Error> {
        let store = self.journal.store();
        let bound = store.bindings(job_id).await?;
        let bound = bound.into_iter().find(|(id, _)| *id == runner_id);
        let offer = match bound {
            Some((_, offer)) => offer,
            None => {
                let runner = store.runner(runner_id).await?;
                let offer =
                    |known: crate::store::KnownRunner| Arc::clone(&known.row.registration.offer);
                runner.map_or_else(|| Arc::new(Offer::default()), offer)
            }
        };
        Ok(LostWorkspace {
            runner_id,
            offer,
            before,
        })
    }

    /// Fails ready stages of a job that build on a workspace that is gone.
    pub(super) async fn fail_what_is_stranded(&self, job_id: JobId) -> Result<(), Error> {
        for lost in self.journal.store().lost_workspaces(job_id).await? {
            match self
                .journal
                .command(job_id, Command::LoseWorkspace(lost))
                .await
            {
                Err(Error::JobNotFound(_)) => return Ok(()),
                // Never refused: a job that has ended has nothing to lose.
                answer => answer?.map_or((), drop),
            }
        }
        Ok(())
    }
}

/// What a lease that is over means for its stage.
fn over(lease: LeaseRow, log: LogSummary) -> Command {
    let (run, token) = (lease.stage.run, lease.token);
    if !lease.overran {
        return Command::Lose { run, token, log };
    }
    let message = "ran longer than its timeout, and its runner did not end it in time";
    Command::Finish {
        run,
        token,
        result: StageResult {
            outcome: Outcome::TimedOut,
            exit_code: None,
            message: message.to_owned(),
            log,
        },
    }
}
