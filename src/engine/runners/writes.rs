//! What a runner may say of a stage while it holds the lease.

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{
        Command, Decision, Event, FencingToken, Holder, Job, LogSummary, LostWorkspace, Outcome,
        Refusal, StageResult, StageState, decide,
        lease::{Completion, Directive, Renewed, Report},
    },
    engine::{
        Error,
        journal::{Conflicts, write_of},
    },
    store::{Batch, LeaseRow, LeaseWrite, Write},
};

use super::{LeaseError, Runners};

/// What a runner has beyond a stage's timeout and grace to report its end.
const REPORT_TIME: Duration = Duration::from_secs(5);

/// Several commands, decided one after the other for one commit.
pub(super) struct Decisions {
    job: Arc<Job>,
    events: Vec<Event>,
    now: std::time::SystemTime,
}

impl Decisions {
    pub(super) fn on(job: &Arc<Job>, now: std::time::SystemTime) -> Self {
        Self {
            job: Arc::clone(job),
            events: Vec::new(),
            now,
        }
    }

    /// Decides on one more command.
    pub(super) fn then(&mut self, command: Command) -> Result<(), Refusal> {
        let Decision { events, job } = decide(&self.job, command, self.now)?;
        if !events.is_empty() {
            self.job = Arc::new(job);
            self.events.extend(events);
        }
        Ok(())
    }

    /// The job after all of them.
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// The write of all of them; none if they change nothing.
    pub(super) fn into_write(self) -> Option<Write> {
        (!self.events.is_empty()).then(|| {
            let (_, write) = write_of(Decision {
                events: self.events,
                job: Arc::unwrap_or_clone(self.job),
            });
            write
        })
    }
}

impl Runners {
    /// Keeps a lease, and takes in what the runner reports. The first renewal of a lease is
    /// what makes its stage RUNNING: the event and the lease are one commit. A lease lives
    /// from when its renewal was received: holding the answer back does not lengthen it.
    pub(super) async fn keep(
        &self,
        owner: &str,
        lease: LeaseRow,
        report: Report,
    ) -> Result<(), LeaseError> {
        let received = self.now();
        let expires = received + self.settings.lease_ttl;
        let mut conflicts = Conflicts::default();
        loop {
            let job = self.journal.job(lease.stage.job_id).await?;
            let mut decisions = Decisions::on(&job, self.journal.environment().now());
            let is_first = !is_held(&job, lease);
            if is_first {
                let start = Command::Start {
                    run: lease.stage.run,
                    holder: holder(lease),
                };
                if decisions.then(start).is_err() {
                    let store = self.journal.store();
                    let released = store.release(lease.id, lease.token).await;
                    released.map_err(Error::from)?;
                    return Err(LeaseError::Lost);
                }
            }
            decide_report(&mut decisions, lease, &report).map_err(|_| LeaseError::Lost)?;
            let mut writes: Vec<Write> = decisions.into_write().into_iter().collect();
            if is_first {
                let run = job.run(lease.stage.run).ok_or(LeaseError::Lost)?;
                let limit = job.stage(run).timeout + self.settings.kill_grace + REPORT_TIME;
                writes.push(Write::Lease(LeaseWrite::Confirm {
                    id: lease.id,
                    token: lease.token,
                    expires,
                    ends_by: received + limit,
                }));
            } else if !self.lengthen(lease, expires).await? {
                return Err(LeaseError::Lost);
            }
            if writes.is_empty() {
                return Ok(());
            }
            match self.journal.commit(Batch::of(writes)).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    conflicts.again(error).await?;
                    self.still_live(owner, lease).await?;
                }
            }
        }
    }

    /// Ends the stage and its lease in one commit, and gives up the workspace that the runner
    /// says it does not have.
    pub(super) async fn finish(
        &self,
        owner: &str,
        lease: LeaseRow,
        completion: Completion,
        log: LogSummary,
    ) -> Result<(), LeaseError> {
        let Completion {
            outcome,
            exit_code,
            message,
            log_size: _,
            log_incomplete: _,
            commit_id,
        } = completion;
        // What has written a log was started, and another attempt would write to it.
        let outcome = match outcome {
            Outcome::Returned if log.size > 0 => Outcome::RunnerError,
            outcome => outcome,
        };
        let finish = Command::Finish {
            run: lease.stage.run,
            token: lease.token,
            result: StageResult {
                outcome,
                exit_code,
                message,
                log,
            },
        };
        let report = Report {
            commit_id,
            progress_percent: None,
        };
        let mut conflicts = Conflicts::default();
        loop {
            let job = self.journal.job(lease.stage.job_id).await?;
            let mut decisions = Decisions::on(&job, self.journal.environment().now());
            decide_report(&mut decisions, lease, &report).map_err(|_| LeaseError::Lost)?;
            let ended = decisions.then(finish.clone());
            ended.map_err(|_| LeaseError::Lost)?;
            let is_returned = outcome == Outcome::Returned;
            let mut writes = vec![Write::Lease(LeaseWrite::End {
                id: lease.id,
                token: lease.token,
                remember_until: self.now() + 2 * self.settings.lease_ttl,
                is_returned,
            })];
            if is_returned && lease.workspace_exists {
                let lost = self.lost_workspace(lease, lease.token).await?;
                writes.push(lose(&mut decisions, lost));
            }
            writes.extend(decisions.into_write());
            match self.journal.commit(Batch::of(writes)).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    conflicts.again(error).await?;
                    self.still_live(owner, lease).await?;
                }
            }
        }
    }

    /// What a renewal answers; none once the stage is no longer the holder's.
    pub(super) fn renewed(&self, job: &Job, lease: LeaseRow) -> Option<Renewed> {
        is_held(job, lease).then(|| Renewed {
            ttl: self.settings.lease_ttl,
            directive: match job.cancellation {
                Some(_) => Directive::Cancel,
                None => Directive::Continue,
            },
            commit_id: (!job.commit_id.is_empty()).then(|| job.commit_id.clone()),
        })
    }

    /// The workspace of a lease's runner, as it is lost to the lease's job.
    pub(super) async fn lost_workspace(
        &self,
        lease: LeaseRow,
        before: FencingToken,
    ) -> Result<LostWorkspace, Error> {
        self.workspace_lost(lease.stage.job_id, lease.runner_id, before)
            .await
    }

    async fn lengthen(
        &self,
        lease: LeaseRow,
        expires: std::time::SystemTime,
    ) -> Result<bool, LeaseError> {
        let store = self.journal.store();
        let renewed = store.renew(lease.id, lease.token, self.now(), expires);
        Ok(renewed.await.map_err(Error::from)?)
    }

    /// A commit that failed may have failed because the lease is over.
    async fn still_live(&self, owner: &str, lease: LeaseRow) -> Result<(), LeaseError> {
        let store = self.journal.store();
        let live = store.live_lease(lease.id, lease.token, owner, self.now());
        live.await
            .map_err(Error::from)?
            .map(drop)
            .ok_or(LeaseError::Lost)
    }
}

/// Has ready stages fail that build on a workspace, and gives the write that notes its loss.
pub(super) fn lose(decisions: &mut Decisions, lost: LostWorkspace) -> Write {
    let job_id = decisions.job().id;
    decisions
        .then(Command::LoseWorkspace(lost.clone()))
        .expect("losing a workspace is never refused: a job that has ended has nothing to lose");
    Write::Lease(LeaseWrite::LoseWorkspace { job_id, lost })
}

fn decide_report(
    decisions: &mut Decisions,
    lease: LeaseRow,
    report: &Report,
) -> Result<(), Refusal> {
    let (run, token) = (lease.stage.run, lease.token);
    if let Some(commit_id) = &report.commit_id {
        decisions.then(Command::ResolveCommit {
            run,
            token,
            commit_id: commit_id.clone(),
        })?;
    }
    if let Some(percent) = report.progress_percent {
        decisions.then(Command::Progress {
            run,
            token,
            percent,
        })?;
    }
    Ok(())
}

fn holder(lease: LeaseRow) -> Holder {
    Holder {
        runner_id: lease.runner_id,
        token: lease.token,
    }
}

fn is_held(job: &Job, lease: LeaseRow) -> bool {
    let run = job.run(lease.stage.run);
    run.is_some_and(|run| run.state == StageState::Running && run.holder == Some(holder(lease)))
}
