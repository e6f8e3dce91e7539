//! The side of a lease that hands out work.

mod expiry;
mod table;
mod work;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::time::{self, Instant};

use crate::{
    domain::{
        Command, FencingToken, Holder, Job, JobId, LeaseId, Outcome, RunnerId, StageResult,
        StageRun, StageState,
    },
    runner::{
        Acquired, Appended, Completion, Directive, Lease, LeaseError, LeaseProof, Leases,
        LogAppend, Registered, Registration, Renewed, Report, WorkRequest,
    },
    store::{
        Claim, ReadyStage,
        logs::{AppendError, LogKey},
    },
};

use super::{Engine, Error};
pub(super) use expiry::expire;
use table::LeaseState;
pub(super) use table::{LeaseTable, LiveLease, Now};
use work::stage_work;

/// Most bytes of one append: 256 KiB.
const MAX_LOG_CHUNK: usize = 256 * 1024;
/// Longest that a call for work is held.
const MAX_WAIT: Duration = Duration::from_secs(50);
/// What a runner has beyond a stage's timeout and grace to report its end.
const REPORT_TIME: Duration = Duration::from_secs(5);

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
        let known = runner.runner_id.filter(|id| self.leases.knows(*id));
        let id = known.unwrap_or_else(|| RunnerId(self.ids.next(self.now())));
        tracing::info!(runner.id = %id, name = runner.display_name, labels = ?runner.labels,
            capacity = runner.capacity, version = runner.version, "runner registered");
        if self.leases.register(id, runner, self.both_times()) {
            // The session before had its workspaces, and they went with it.
            self.forsake(id).await?;
        }
        // Its labels may be what somebody waits for.
        self.progress.notify_waiters();
        Ok(Registered {
            runner_id: id,
            lease_ttl: self.leases.ttl,
            max_log_chunk: MAX_LOG_CHUNK,
        })
    }

    async fn acquire(&self, request: WorkRequest) -> Result<Acquired, LeaseError> {
        let (id, session_id) = (request.runner_id, request.session_id);
        let received = Instant::now();
        let until = received + request.max_wait.min(MAX_WAIT);
        let _waiting = self.leases.wait(id, session_id, self.both_times())?;
        loop {
            // Registered before the look, so that no wake-up is missed in between.
            let progress = self.progress.notified();
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
            if time::timeout_at(until, progress).await.is_err() {
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
        let appended = self
            .logs
            .append(lease.log_key(), append.offset, append.data);
        let committed = appended.await?;
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
        let is_returned = completion.outcome == Outcome::Returned;
        let finish = Command::Finish {
            run: lease.run,
            token: lease.holder.token,
            result: StageResult {
                outcome: completion.outcome,
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
        self.end_lease(proof, lease);
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

    /// A lease for the session, the one that the request got before if there is one.
    async fn next_lease(
        &self,
        request: &WorkRequest,
        received: Instant,
    ) -> Result<Option<Lease>, LeaseError> {
        let id = request.runner_id;
        if let Some((proof, lease)) = self.leases.answered(id, request.request_id, Instant::now()) {
            let job = self.load_job(lease.job_id).await?;
            return Ok(self.lease(proof, lease, &job, received));
        }
        let Some(labels) = self.leases.room(id, request.session_id)? else {
            return Ok(None);
        };
        let Some(engine) = self.me.upgrade() else {
            return Err(LeaseError::Stopping);
        };
        let (claim, request) = (
            Claim {
                runner_id: id,
                labels,
            },
            request.clone(),
        );
        // A task of its own: a caller that goes away between the claim and the lease
        // would take the stage with it.
        let given = tokio::spawn(async move { engine.give(claim, request, received).await });
        given
            .await
            .unwrap_or_else(|error| Err(LeaseError::Failed(error.to_string())))
    }

    async fn give(
        self: Arc<Self>,
        claim: Claim,
        request: WorkRequest,
        received: Instant,
    ) -> Result<Option<Lease>, LeaseError> {
        while let Some(ready) = self.store.claim(&claim).await.map_err(Error::from)? {
            match self.grant(ready, &request, received).await {
                Ok(Granted::Lease(lease)) => return Ok(Some(*lease)),
                Ok(Granted::NotReady) => {}
                Ok(Granted::NoRoom) => {
                    self.put_back(ready, claim.runner_id).await?;
                    return Ok(None);
                }
                Err(error) => {
                    self.put_back(ready, claim.runner_id).await?;
                    return Err(error.into());
                }
            }
        }
        Ok(None)
    }

    async fn grant(
        &self,
        ready: ReadyStage,
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
        if !self.leases.grant(proof.lease_id, request.session_id, lease) {
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
    async fn over_for(&self, id: RunnerId, held: &[JobId]) -> Result<Vec<JobId>, Error> {
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
    fn has_workspace(&self, job: &Job, runner_id: RunnerId) -> bool {
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

    /// The first renewal of a lease is what makes its stage RUNNING. A lease lives from
    /// when its renewal was received: holding the answer back does not lengthen it.
    async fn keep(
        &self,
        proof: LeaseProof,
        lease: LiveLease,
        received: Instant,
    ) -> Result<(), LeaseError> {
        let job = self.load_job(lease.job_id).await?;
        let run = job.run(lease.run).ok_or(LeaseError::Lost)?;
        if run.holder != Some(lease.holder) {
            let start = Command::Start {
                run: lease.run,
                holder: lease.holder,
            };
            let started = self.ask(lease.job_id, start).await;
            if let Err(LeaseError::Lost) = started {
                self.drop_lease(proof.lease_id);
            }
            started?;
        }
        let limit = job.stage(run).timeout + self.settings.kill_grace + REPORT_TIME;
        let expires = received + self.leases.ttl;
        self.leases.update(proof, Instant::now(), |lease| {
            lease.state = LeaseState::Confirmed;
            lease.ends_by.get_or_insert(received + limit);
            lease.expires = lease.expires.max(expires);
        });
        Ok(())
    }

    /// What a renewal answers; none once the stage is no longer the holder's.
    fn renewed(&self, job: &Job, lease: LiveLease) -> Option<Renewed> {
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

    async fn ended_under(&self, lease: LiveLease) -> Result<bool, Error> {
        let job = self.load_job(lease.job_id).await?;
        Ok(job
            .run(lease.run)
            .is_some_and(|run| run.holder == Some(lease.holder) && run.state.is_terminal()))
    }

    /// The lease is over as it should be; its slot is free.
    fn end_lease(&self, proof: LeaseProof, lease: LiveLease) {
        let now = Instant::now();
        self.leases.update(proof, now, |lease| {
            lease.state = LeaseState::Ended;
            lease.expires = now + self.leases.ttl;
        });
        self.logs.close(lease.log_key());
        self.progress.notify_waiters();
    }

    fn drop_lease(&self, lease_id: LeaseId) {
        self.leases.remove(lease_id);
        self.progress.notify_waiters();
    }

    async fn resolve_commit(
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

    async fn report_progress(
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

    async fn ask(&self, job_id: JobId, command: Command) -> Result<(), LeaseError> {
        let answer = self.command(job_id, command).await?;
        answer.map(drop).map_err(|_| LeaseError::Lost)
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
            AppendError::Io(error) => Self::Failed(error.to_string()),
        }
    }
}
