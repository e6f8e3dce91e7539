//! Runners: which are registered, and the side of a lease that assigns work.

mod acquire;
mod expiry;
mod principal;
mod roster;
mod seam;
mod settle;
#[cfg(test)]
mod tests;
mod view;
mod waiters;
mod work;
mod writes;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use metrics::counter;
use tokio::time::Instant;

use crate::{
    blobs::logs::{AppendError, LogKey, LogStore},
    domain::{
        LogSummary, RunnerId, SessionId,
        lease::{
            Appended, Completion, Directive, LeaseProof, LogAppend, Registered, Registration,
            Renewed, Report,
        },
        limits,
    },
    store::{KnownRunner, LeaseRow, LeaseState, RunnerRow},
    telemetry::metrics::LOG_RECEIVED,
};

use super::{
    Error, Settings, journal::Journal, lifecycle::Lifecycle, logs::LogLosses, signals::Signals,
};
pub(super) use expiry::{Expiry, TASK as EXPIRY, Wakes};
pub use principal::PrincipalLeases;
pub(super) use roster::Roster;
pub use seam::{LeaseError, LeaseRefusal, Leases};
pub use view::{RunnerView, RunningStage};
pub(super) use waiters::Waiters;

/// All that runners do, and what callers do with runners.
pub struct Runners {
    journal: Arc<Journal>,
    logs: Arc<dyn LogStore>,
    log_losses: LogLosses,
    signals: Arc<Signals>,
    /// Calls that wait for work.
    waiters: Arc<Waiters>,
    roster: Arc<Roster>,
    lifecycle: Lifecycle,
    settings: Settings,
}

impl Runners {
    pub(super) fn new(
        journal: Arc<Journal>,
        logs: Arc<dyn LogStore>,
        signals: Arc<Signals>,
        waiters: Arc<Waiters>,
        roster: Arc<Roster>,
        lifecycle: Lifecycle,
        settings: Settings,
    ) -> Self {
        Self {
            journal,
            logs,
            log_losses: LogLosses::default(),
            signals,
            waiters,
            roster,
            lifecycle,
            settings,
        }
    }

    /// Has every call that waits for work look again.
    pub(super) fn wake_all(&self) {
        self.waiters.all();
    }

    fn now(&self) -> std::time::SystemTime {
        self.journal.environment().steady_now()
    }

    async fn of_session(&self, id: SessionId, owner: &str) -> Result<Option<KnownRunner>, Error> {
        let runners = self.journal.store().list_runners(None, usize::MAX).await?;
        let mut runners = runners.into_iter();
        Ok(runners.find(|known| {
            let Registration {
                session_id,
                owner: of,
                ..
            } = &known.row.registration;
            *session_id == id && of == owner
        }))
    }

    /// The lease under which a write of a principal comes, if it is live.
    async fn live(&self, owner: &str, proof: LeaseProof) -> Result<LeaseRow, LeaseError> {
        let store = self.journal.store();
        let lease = store.live_lease(proof.lease_id, proof.token, owner, self.now());
        lease.await.map_err(Error::from)?.ok_or(LeaseError::Lost)
    }

    async fn register(&self, runner: Registration) -> Result<Registered, LeaseError> {
        let store = self.journal.store();
        let named = match runner.runner_id {
            Some(id) => store.runner(id).await.map_err(Error::from)?,
            None => None,
        };
        // No principal takes over a runner of another one.
        let known = match named.filter(|named| named.row.registration.owner == runner.owner) {
            Some(known) => Some(known),
            // The answer to an earlier call of this session may have been lost.
            None => self.of_session(runner.session_id, &runner.owner).await?,
        };
        let limit = self.settings.max_runners;
        if known.is_none() && store.count_runners().await.map_err(Error::from)? >= limit {
            return Err(LeaseError::TooManyRunners { limit });
        }
        let new_id = || RunnerId(self.journal.environment().new_id());
        let id = known.map_or_else(new_id, |known| known.row.id);
        tracing::info!(runner.id = %id, name = runner.display_name, labels = ?runner.offer.labels,
            capacity = runner.capacity, version = runner.version, owner = runner.owner,
            "runner registered");
        let row = RunnerRow {
            id,
            registration: runner,
            register_time: self.journal.environment().now(),
            is_draining: false,
            last_seen: self.now(),
            has_left: false,
        };
        // An earlier session had its workspaces, and they go with it in the same step; what
        // waits for them is failed by the task that expires leases.
        let registered = store.register(row, self.now()).await;
        registered.map_err(Error::from)?;
        Ok(Registered {
            runner_id: id,
            lease_ttl: self.settings.lease_ttl,
            max_log_chunk: limits::MAX_LOG_CHUNK,
        })
    }

    async fn deregister(
        &self,
        owner: &str,
        id: RunnerId,
        session_id: SessionId,
    ) -> Result<(), LeaseError> {
        let left = self
            .journal
            .store()
            .leave(id, session_id, owner, self.now());
        if !left.await.map_err(Error::from)? {
            return Err(LeaseError::Unregistered);
        }
        tracing::info!(runner.id = %id, "runner deregistered");
        Ok(())
    }

    /// Shows runners as offline whose principal may no longer run stages. A lease that such a
    /// runner holds expires by itself: its stage may still run until then.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn dismiss(&self, may_run: &(dyn Fn(&str) -> bool + Sync)) -> Result<(), Error> {
        let store = self.journal.store();
        for KnownRunner { row, .. } in store.list_runners(None, usize::MAX).await? {
            let Registration {
                owner, session_id, ..
            } = &row.registration;
            if row.is_embedded() || row.has_left || may_run(owner) {
                continue;
            }
            tracing::warn!(runner.id = %row.id, name = row.registration.display_name, owner,
                "runner is offline: its credentials were revoked or have expired");
            store.leave(row.id, *session_id, owner, self.now()).await?;
        }
        Ok(())
    }

    async fn renew(
        &self,
        owner: &str,
        proof: LeaseProof,
        report: Report,
        known: Directive,
        max_wait: Duration,
    ) -> Result<Renewed, LeaseError> {
        let received = Instant::now();
        let lease = self.live(owner, proof).await?;
        let until = received + max_wait.min(self.settings.lease_ttl / 3);
        let follow = self.signals.follow(lease.stage.job_id);
        let mut changes = follow.changes();
        self.keep(owner, lease, report).await?;
        loop {
            changes.mark_unchanged();
            let job = self.journal.job(lease.stage.job_id).await?;
            let renewed = self.renewed(&job, lease).ok_or(LeaseError::Lost)?;
            let changed = tokio::time::timeout_at(until, changes.changed());
            if renewed.directive != known || changed.await.is_err() {
                return Ok(renewed);
            }
        }
    }

    async fn append_log(
        &self,
        owner: &str,
        proof: LeaseProof,
        append: LogAppend,
    ) -> Result<Appended, LeaseError> {
        let lease = self.live(owner, proof).await?;
        // One that was not confirmed has started nothing, and its run may go to another
        // runner, with the log as it is.
        if lease.state != LeaseState::Confirmed {
            return Err(LeaseError::Lost);
        }
        let LogAppend {
            offset,
            dropped,
            data,
        } = append;
        let received = data.len() as u64;
        let appended = self.logs.append(log_key(lease), offset, dropped, data);
        let kept = appended.await?;
        counter!(LOG_RECEIVED).increment(received);
        self.log_losses.note(log_key(lease), &kept);
        let job = self.journal.job(lease.stage.job_id).await?;
        let renewed = self.renewed(&job, lease).ok_or(LeaseError::Lost)?;
        Ok(Appended {
            committed: kept.size,
            directive: renewed.directive,
        })
    }

    async fn complete(
        &self,
        owner: &str,
        proof: LeaseProof,
        completion: Completion,
    ) -> Result<(), LeaseError> {
        let store = self.journal.store();
        let lease = store.lease(proof.lease_id, proof.token, owner).await;
        let lease = lease.map_err(Error::from)?.ok_or(LeaseError::Lost)?;
        if lease.state == LeaseState::Ended {
            return Ok(());
        }
        if !lease.is_live(self.now()) {
            return Err(LeaseError::Lost);
        }
        let key = log_key(lease);
        let committed = self.logs.size(key);
        if completion.log_size != committed && !completion.log_incomplete {
            return Err(LeaseError::Hole { committed });
        }
        let log = self.complete_log(key, completion.log_size).await;
        self.finish(owner, lease, completion, log).await
    }

    /// The log of a stage that is over, of which its runner has written `size` bytes. The
    /// event that has it comes after the bytes, also on a disk. A log that cannot be brought
    /// there is no reason to keep a stage from ending.
    async fn complete_log(&self, key: LogKey, size: u64) -> LogSummary {
        let missing = size.saturating_sub(self.logs.size(key));
        if missing > 0 {
            // The runner has given them up.
            match self.logs.append(key, size, missing, Bytes::new()).await {
                Ok(kept) => self.log_losses.note(key, &kept),
                Err(error) => tracing::warn!(job.id = %key.job_id, run = ?key.run, %error,
                    "the end of a log is missing without a gap"),
            }
        }
        match self.logs.sync(key).await {
            Ok(kept) => self.log_losses.note(key, &kept),
            Err(error) => tracing::warn!(job.id = %key.job_id, run = ?key.run, %error,
                "a stage ends without its log being safe on the disk"),
        }
        LogSummary {
            size: self.logs.size(key),
            loss: self.logs.loss(key),
        }
    }
}

fn log_key(lease: LeaseRow) -> LogKey {
    LogKey {
        job_id: lease.stage.job_id,
        run: lease.stage.run,
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
