//! The side of a lease that hands out work.

mod expiry;
mod grant;
mod table;
#[cfg(test)]
mod tests;
mod waiters;
mod work;
mod writes;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use metrics::counter;
use tokio::time::{self, Instant};

use crate::{
    blobs::logs::{AppendError, LogKey},
    domain::lease::{
        Acquired, Appended, Completion, Directive, LeaseProof, LogAppend, Registered, Registration,
        Renewed, Report, WorkRequest,
    },
    domain::{Command, Outcome, RunnerId, StageResult, limits},
    engine::{LeaseError, Leases},
    telemetry::metrics::LOG_RECEIVED,
};

use super::{Engine, Error};
pub(super) use expiry::expire;
use table::LeaseState;
pub(super) use table::{LeaseTable, LiveLease, Now};
pub(super) use waiters::Waiters;

/// Tokens go up across restarts too: the clock's microseconds are further on than
/// any number of leases that an earlier process can have handed out.
pub(super) fn first_token(now: SystemTime) -> i64 {
    let since_epoch = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

#[async_trait]
impl Leases for Engine {
    async fn register(&self, runner: Registration) -> Result<Registered, LeaseError> {
        let known = runner.runner_id;
        let known = known.filter(|id| self.leases.knows(*id, &runner.owner));
        let limit = self.settings.max_runners;
        if known.is_none() && self.leases.runners() >= limit {
            return Err(LeaseError::TooManyRunners { limit });
        }
        let id = known.unwrap_or_else(|| RunnerId(self.ids.next(self.now())));
        tracing::info!(runner.id = %id, name = runner.display_name, labels = ?runner.offer.labels,
            capacity = runner.capacity, version = runner.version, owner = runner.owner,
            "runner registered");
        if self.leases.register(id, runner, self.both_times()) {
            // The session before had its workspaces, and they went with it.
            self.forsake(id).await?;
        }
        // Its labels may be what somebody waits for.
        self.waiters.all();
        Ok(Registered {
            runner_id: id,
            lease_ttl: self.leases.ttl,
            max_log_chunk: limits::MAX_LOG_CHUNK,
        })
    }

    async fn acquire(&self, request: WorkRequest) -> Result<Acquired, LeaseError> {
        let (id, session_id) = (request.runner_id, request.session_id);
        let received = Instant::now();
        let until = received + request.max_wait.min(limits::MAX_WORK_WAIT);
        let _waiting = self.leases.wait(id, session_id, self.both_times())?;
        if request.leaving {
            self.leases.set_draining(id, true);
        }
        // Before the first look, so that no wake-up is missed in between.
        let offer = self.leases.offer(id);
        let waiter = self.waiters.wait(id, offer, request.held_jobs.clone());
        loop {
            if self.stopping.is_cancelled() {
                return Err(LeaseError::Stopping);
            }
            // First, and alone: work of a job whose old workspace is still there has to
            // find it gone.
            let ended_jobs = self.over_for(id, &request.held_jobs).await?;
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

    async fn renew(
        &self,
        proof: LeaseProof,
        report: Report,
        known: Directive,
        max_wait: Duration,
    ) -> Result<Renewed, LeaseError> {
        let received = Instant::now();
        let lease = self.leases.live(proof, self.both_times())?;
        let until = received + max_wait.min(self.leases.ttl / 3);
        let follow = self.signals.follow(lease.job_id);
        let mut changes = follow.changes();
        self.keep(proof, lease, received).await?;
        self.resolve_commit(lease, report.commit_id).await?;
        self.report_progress(lease, report.progress_percent).await?;
        loop {
            changes.mark_unchanged();
            let job = self.load_job(lease.job_id).await?;
            let renewed = self.renewed(&job, lease).ok_or(LeaseError::Lost)?;
            if renewed.directive != known
                || time::timeout_at(until, changes.changed()).await.is_err()
            {
                return Ok(renewed);
            }
        }
    }

    async fn append_log(
        &self,
        proof: LeaseProof,
        append: LogAppend,
    ) -> Result<Appended, LeaseError> {
        let lease = self.leases.live(proof, self.both_times())?;
        let LogAppend {
            offset,
            dropped,
            data,
        } = append;
        let received = data.len() as u64;
        let appended = self.logs.append(lease.log_key(), offset, dropped, data);
        let committed = appended.await?;
        counter!(LOG_RECEIVED).increment(received);
        let job = self.load_job(lease.job_id).await?;
        let renewed = self.renewed(&job, lease).ok_or(LeaseError::Lost)?;
        Ok(Appended {
            committed,
            directive: renewed.directive,
        })
    }

    async fn complete(&self, proof: LeaseProof, completion: Completion) -> Result<(), LeaseError> {
        if self.leases.has_ended(proof) {
            return Ok(());
        }
        let lease = self.leases.live(proof, self.both_times())?;
        let committed = self.logs.size(lease.log_key());
        if completion.log_size != committed && !completion.log_incomplete {
            return Err(LeaseError::Hole { committed });
        }
        self.resolve_commit(lease, completion.commit_id).await?;
        // What has written a log was started, and another attempt would write to it.
        let outcome = match completion.outcome {
            Outcome::Returned if committed > 0 => Outcome::RunnerError,
            outcome => outcome,
        };
        let is_returned = outcome == Outcome::Returned;
        let finish = Command::Finish {
            run: lease.run,
            token: lease.holder.token,
            result: StageResult {
                outcome,
                exit_code: completion.exit_code,
                message: completion.message,
                log_size: committed,
            },
        };
        match self.ask(lease.job_id, finish).await {
            // The answer to an earlier call was lost: the stage ended as it said.
            Err(LeaseError::Lost) if self.ended_under(lease).await? => {}
            answer => answer?,
        }
        self.end_lease(proof, lease.holder.runner_id);
        // A stage that another runner gets writes to the same log.
        if !is_returned || self.ended_under(lease).await? {
            self.logs.close(lease.log_key()).await;
        }
        if is_returned {
            self.give_up_workspace(lease).await?;
        }
        Ok(())
    }
}

impl Engine {
    /// Both clocks at this moment.
    pub(super) fn both_times(&self) -> Now {
        Now {
            instant: Instant::now(),
            time: self.now(),
        }
    }
}

impl LiveLease {
    pub(super) fn log_key(self) -> LogKey {
        LogKey {
            job_id: self.job_id,
            run: self.run,
        }
    }
}

impl From<Error> for LeaseError {
    fn from(error: Error) -> Self {
        match error {
            Error::JobNotFound(_) => Self::Lost,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<AppendError> for LeaseError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Hole { committed } => Self::Hole { committed },
            AppendError::Ended => Self::Lost,
            AppendError::Io(error) => Self::Failed(error.to_string()),
        }
    }
}
