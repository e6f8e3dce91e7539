//! Changes of leases that are part of a commit, and what gives stages and jobs back.

use std::sync::Arc;

use crate::{
    domain::{FencingToken, Job, JobId, LeaseId, LostWorkspace, RunnerId, StageRun, StageState},
    store::{CommitError, LeaseRow, LeaseState, LeaseWrite},
};

use super::Dispatch;

impl Dispatch {
    pub(in super::super) fn check(&self, write: &LeaseWrite) -> Result<(), CommitError> {
        let is_possible = match write {
            LeaseWrite::Confirm { id, token, .. } | LeaseWrite::End { id, token, .. } => {
                self.leases.find(*id, *token).is_some_and(LeaseRow::is_held)
            }
            LeaseWrite::Settle { id, token } => self.is_void(*id, *token),
            LeaseWrite::LoseWorkspace { .. } => true,
        };
        if is_possible {
            Ok(())
        } else {
            Err(CommitError::Conflict)
        }
    }

    /// Applies a write that was checked. Returns the runner whose lease it has ended.
    /// `is_active` answers for the jobs that the batch concerns.
    pub(in super::super) fn write(
        &mut self,
        write: LeaseWrite,
        is_active: impl Fn(JobId) -> bool,
    ) -> Option<RunnerId> {
        match write {
            LeaseWrite::Confirm {
                id,
                token,
                expires,
                ends_by,
            } => {
                let row = *self.leases.find(id, token)?;
                self.put_lease(LeaseRow {
                    state: LeaseState::Confirmed,
                    expires: row.expires.max(expires),
                    ends_by: row.ends_by.or(Some(ends_by)),
                    ..row
                });
                self.note_workspace(&row, is_active);
                None
            }
            LeaseWrite::End {
                id,
                token,
                remember_until,
                is_returned,
            } => {
                let row = *self.leases.find(id, token)?;
                self.put_lease(LeaseRow {
                    state: LeaseState::Ended,
                    expires: remember_until,
                    ends_by: None,
                    ..row
                });
                if is_returned {
                    let (job_id, runner_id) = (row.stage.job_id, row.runner_id);
                    self.queue.unstart(job_id, runner_id, token);
                    self.unbind_if_idle(job_id, runner_id);
                }
                Some(row.runner_id)
            }
            LeaseWrite::Settle { id, token } => {
                let row = *self.leases.find(id, token)?;
                self.leases.remove(id);
                Some(row.runner_id)
            }
            LeaseWrite::LoseWorkspace { job_id, lost } => {
                if is_active(job_id) {
                    self.lose(job_id, lost);
                }
                None
            }
        }
    }

    /// The runner of a lease that was confirmed has a workspace of the job.
    fn note_workspace(&mut self, row: &LeaseRow, is_active: impl Fn(JobId) -> bool) {
        let (job_id, runner_id) = (row.stage.job_id, row.runner_id);
        // An earlier workspace there was given up between the offer and now.
        if !self.queue.is_bound(job_id, runner_id)
            && is_active(job_id)
            && let Some(runner) = self.runners.get(runner_id)
        {
            let offer = Arc::clone(&runner.row.registration.offer);
            self.queue.bind(job_id, runner_id, &offer);
        }
        self.queue.start(job_id, runner_id, row.token);
    }

    pub(super) fn lose(&mut self, job_id: JobId, lost: LostWorkspace) {
        self.queue.unbind(job_id, lost.runner_id);
        let known = self.lost.entry(job_id).or_default();
        if !known.contains(&lost) {
            known.push(lost);
        }
        self.queue.touched.note(job_id);
    }

    /// Takes the row of a lease away that was never confirmed, and puts its stage back if
    /// the run still waits. False if there is no such row.
    pub(super) fn release(&mut self, id: LeaseId, token: FencingToken, job: Option<&Job>) -> bool {
        let row = self.leases.find(id, token);
        let row = row.filter(|row| row.is_unstarted());
        let Some(row) = row.copied() else {
            return false;
        };
        self.leases.remove(id);
        if let Some(runner) = self.runners.get_mut(row.runner_id) {
            runner.held.remove(&token);
        }
        let waits = |run: &&Arc<StageRun>| run.state == StageState::Queued;
        if let Some(job) = job
            && let Some(run) = job.run(row.stage.run).filter(waits)
        {
            self.queue.insert(job, run);
        }
        self.unbind_if_idle(row.stage.job_id, row.runner_id);
        true
    }

    /// Unbinds a job from a runner that has no workspace of it and no lease that may lead
    /// to one. False if it stays bound, or was not.
    pub(super) fn unbind_if_idle(&mut self, job_id: JobId, runner_id: RunnerId) -> bool {
        let is_in_use = self.queue.started(job_id, runner_id).is_some()
            || self.holds_stage_of(job_id, runner_id);
        if is_in_use || !self.queue.is_bound(job_id, runner_id) {
            return false;
        }
        self.queue.unbind(job_id, runner_id);
        true
    }

    fn holds_stage_of(&self, job_id: JobId, runner_id: RunnerId) -> bool {
        let runner = self.runners.get(runner_id);
        runner.is_some_and(|runner| {
            let mut held = self.held_by(runner);
            held.any(|row| row.stage.job_id == job_id)
        })
    }

    fn is_void(&self, id: LeaseId, token: FencingToken) -> bool {
        let row = self.leases.find(id, token);
        row.is_some_and(|row| matches!(row.state, LeaseState::Void { .. }))
    }
}
