//! The side of a lease that hands out work.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::time::{self, Instant};

use crate::{
    domain::{
        Command, FencingToken, Holder, Job, JobId, LeaseId, RunKey, RunnerId, StageResult,
        StageRun, StageState, Variables, has_labels,
    },
    runner::{
        Acquired, Appended, Completion, Directive, Lease, LeaseError, LeaseProof, Leases,
        LogAppend, Registered, Registration, Renewed, Report, StageWork, WorkRequest,
    },
    store::{
        Labels,
        logs::{AppendError, LogKey},
    },
};

use super::{Engine, Error};

const LEASE_TTL: Duration = Duration::from_secs(30);
/// Most bytes of one append: 256 KiB.
const MAX_LOG_CHUNK: usize = 256 * 1024;

/// A lease that was handed out and not yet completed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveLease {
    job_id: JobId,
    run: RunKey,
    holder: Holder,
}

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
        let id = RunnerId(self.ids.next(self.now()));
        tracing::info!(runner.id = %id, name = runner.display_name, labels = ?runner.labels,
            capacity = runner.capacity, "runner registered");
        self.runners.insert(id, runner);
        Ok(Registered {
            runner_id: id,
            lease_ttl: LEASE_TTL,
            max_log_chunk: MAX_LOG_CHUNK,
        })
    }

    async fn acquire(&self, request: WorkRequest) -> Result<Acquired, LeaseError> {
        let WorkRequest {
            runner_id: runner,
            session_id: _,
            request_id: _,
            max_wait,
            held_jobs,
        } = request;
        let labels = self
            .runners
            .get(&runner)
            .map(|runner| runner.labels.clone());
        let labels = labels.ok_or(LeaseError::Unregistered)?;
        let until = Instant::now() + max_wait;
        loop {
            // Registered before the look, so that no wake-up is missed in between.
            let progress = self.progress.notified();
            if self.stopping.is_cancelled() {
                return Err(LeaseError::Stopping);
            }
            let acquired = Acquired {
                lease: self.claim(runner, &labels).await?,
                ended_jobs: self.ended(&held_jobs).await?,
            };
            if acquired.lease.is_some() || !acquired.ended_jobs.is_empty() {
                return Ok(acquired);
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
        let lease = self.live(proof)?;
        let until = Instant::now() + max_wait;
        let follow = self.signals.follow(lease.job_id);
        let mut changes = follow.changes();
        self.confirm(proof, lease).await?;
        self.resolve_commit(lease, report.commit_id).await?;
        self.progress(lease, report.progress_percent).await?;
        loop {
            changes.mark_unchanged();
            let job = self.load_job(lease.job_id).await?;
            let renewed = renewed(&job, lease).ok_or(LeaseError::Lost)?;
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
        let lease = self.live(proof)?;
        let appended = self
            .logs
            .append(lease.log_key(), append.offset, append.data);
        let committed = appended.await?;
        let job = self.load_job(lease.job_id).await?;
        let renewed = renewed(&job, lease).ok_or(LeaseError::Lost)?;
        Ok(Appended {
            committed,
            directive: renewed.directive,
        })
    }

    async fn complete(&self, proof: LeaseProof, completion: Completion) -> Result<(), LeaseError> {
        let lease = self.live(proof)?;
        let stored = self.logs.size(lease.log_key());
        if completion.log_size != stored {
            // Told, and no reason to keep the stage running for ever.
            let told = completion.log_size;
            tracing::warn!(job.id = %lease.job_id, stored, told, "a log is not complete");
        }
        self.resolve_commit(lease, completion.commit_id).await?;
        let finish = Command::Finish {
            run: lease.run,
            token: lease.holder.token,
            result: StageResult {
                outcome: completion.outcome,
                exit_code: completion.exit_code,
                message: completion.message,
                log_size: stored,
            },
        };
        let finished = self.ask(lease.job_id, finish).await;
        if !matches!(finished, Err(LeaseError::Failed(_))) {
            self.leases.remove(&proof.lease_id);
            self.logs.close(lease.log_key());
        }
        finished
    }
}

impl Engine {
    /// Whether a runner is connected that has all of these labels.
    pub(super) fn has_runner_for(&self, wanted: &Labels) -> bool {
        self.runners
            .iter()
            .any(|runner| has_labels(&runner.labels, wanted))
    }

    async fn claim(&self, runner: RunnerId, labels: &Labels) -> Result<Option<Lease>, LeaseError> {
        while let Some(ready) = self.store.claim(labels).await.map_err(Error::from)? {
            // One that was cancelled since it was queued is passed over.
            if let Some(job) = self.store.job(ready.job_id).await.map_err(Error::from)?
                && let Some(run) = job.run(ready.run)
                && run.state == StageState::Queued
            {
                return Ok(Some(self.lease(runner, &job, run)));
            }
        }
        Ok(None)
    }

    fn lease(&self, runner_id: RunnerId, job: &Job, run: &StageRun) -> Lease {
        let token = FencingToken(self.next_token.fetch_add(1, Ordering::Relaxed));
        let proof = LeaseProof {
            lease_id: LeaseId(self.ids.next(self.now())),
            token,
        };
        let live = LiveLease {
            job_id: job.id,
            run: run.key(),
            holder: Holder { runner_id, token },
        };
        self.leases.insert(proof.lease_id, live);
        Lease {
            proof,
            ttl: LEASE_TTL,
            work: stage_work(job, run, token, self.settings.kill_grace),
        }
    }

    async fn ended(&self, jobs: &[JobId]) -> Result<Vec<JobId>, LeaseError> {
        let mut ended = Vec::new();
        for &id in jobs {
            let job = self.store.job(id).await.map_err(Error::from)?;
            if job.is_none_or(|job| job.state.is_terminal()) {
                ended.push(id);
            }
        }
        Ok(ended)
    }

    fn live(&self, proof: LeaseProof) -> Result<LiveLease, LeaseError> {
        let lease = self.leases.get(&proof.lease_id).map(|lease| *lease);
        lease
            .filter(|lease| lease.holder.token == proof.token)
            .ok_or(LeaseError::Lost)
    }

    /// The first renewal of a lease is what makes its stage RUNNING.
    async fn confirm(&self, proof: LeaseProof, lease: LiveLease) -> Result<(), LeaseError> {
        let job = self.load_job(lease.job_id).await?;
        let is_held = job
            .run(lease.run)
            .is_some_and(|run| run.holder == Some(lease.holder));
        if is_held {
            return Ok(());
        }
        let start = Command::Start {
            run: lease.run,
            holder: lease.holder,
        };
        let started = self.ask(lease.job_id, start).await;
        if started.is_err() {
            self.leases.remove(&proof.lease_id);
        }
        started
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

    async fn progress(&self, lease: LiveLease, percent: Option<u8>) -> Result<(), LeaseError> {
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

impl LiveLease {
    fn log_key(self) -> LogKey {
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

/// What a renewal answers; none once the stage is no longer the holder's.
fn renewed(job: &Job, lease: LiveLease) -> Option<Renewed> {
    let run = job.run(lease.run)?;
    let is_held = run.state == StageState::Running && run.holder == Some(lease.holder);
    is_held.then(|| Renewed {
        ttl: LEASE_TTL,
        directive: match job.cancellation {
            Some(_) => Directive::Cancel,
            None => Directive::Continue,
        },
        commit_id: (!job.commit_id.is_empty()).then(|| job.commit_id.clone()),
    })
}

fn stage_work(job: &Job, run: &StageRun, token: FencingToken, kill_grace: Duration) -> StageWork {
    let stage = job.stage(run);
    StageWork {
        job_id: job.id,
        stage_name: stage.name.clone(),
        attempt: run.attempt,
        command: stage.command.clone(),
        timeout: stage.timeout,
        kill_grace,
        git_repository: job.pipeline.spec.git_repository.clone(),
        git_ref: job.git_ref.clone(),
        commit_id: job.commit_id.clone(),
        variables: environment(job, run, token),
        secret_variables: BTreeMap::new(),
        working_directory: stage.working_directory.clone(),
        workspace_exists: false,
    }
}

/// The trigger's variables win over the stage's, and these over the pipeline's.
/// None of them can have a name that the service sets.
fn environment(job: &Job, run: &StageRun, token: FencingToken) -> Variables {
    let stage = job.stage(run);
    let pipeline = &job.pipeline;
    let given = [&pipeline.spec.variables, &stage.variables, &job.variables];
    let given = given
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()));
    let own = [
        ("CI", "true".to_owned()),
        ("PIPEWRIGHT_PROJECT", pipeline.project.clone()),
        ("PIPEWRIGHT_PIPELINE_ID", pipeline.id.to_string()),
        ("PIPEWRIGHT_PIPELINE_NAME", pipeline.spec.name.clone()),
        ("PIPEWRIGHT_JOB_ID", job.id.to_string()),
        ("PIPEWRIGHT_STAGE_NAME", stage.name.clone()),
        ("PIPEWRIGHT_ATTEMPT", run.attempt.to_string()),
        ("PIPEWRIGHT_GIT_REF", job.git_ref.clone()),
        ("PIPEWRIGHT_FENCING_TOKEN", token.0.to_string()),
    ];
    given
        .chain(own.map(|(name, value)| (name.to_owned(), value)))
        .collect()
}
