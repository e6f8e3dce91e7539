//! What dispatch has, as rows, and dispatch made of rows.

use std::collections::HashSet;

use crate::{
    domain::{FencingToken, JobId, LostWorkspace},
    store::{LeaseRow, LeaseState, ReadyStage, RunnerRow, codec::StoredBinding},
};

use super::Dispatch;

impl Dispatch {
    pub(in super::super) fn first_free_token(&self) -> FencingToken {
        self.next_token
    }

    pub(in super::super) fn runner_rows(&self) -> impl Iterator<Item = &RunnerRow> {
        self.runners.all().map(|runner| &*runner.row)
    }

    pub(in super::super) fn lease_rows(&self) -> impl Iterator<Item = &LeaseRow> {
        self.leases.all()
    }

    /// The bindings of each job, in their order.
    pub(in super::super) fn binding_rows(
        &self,
    ) -> impl Iterator<Item = (JobId, Vec<StoredBinding>)> {
        let jobs = self.queue.all_bindings().map(|(job_id, _)| job_id);
        jobs.map(|job_id| (job_id, self.binding_rows_of(job_id)))
    }

    pub(super) fn binding_rows_of(&self, job_id: JobId) -> Vec<StoredBinding> {
        let bound = self.queue.bindings(job_id).into_iter();
        let bound = bound.map(|(runner_id, offer)| StoredBinding {
            runner_id,
            offer,
            started: self.queue.started(job_id, runner_id),
        });
        bound.collect()
    }

    pub(in super::super) fn lost_rows(&self) -> impl Iterator<Item = (JobId, &[LostWorkspace])> {
        self.lost.iter().map(|(id, lost)| (*id, lost.as_slice()))
    }

    /// Stages that are ready and not in the queue: their leases are to be confirmed or
    /// released.
    pub(in super::super) fn unstarted_stages(&self) -> HashSet<ReadyStage> {
        let unstarted = self.leases.all().filter(|row| row.is_unstarted());
        unstarted.map(|row| row.stage).collect()
    }

    pub(in super::super) fn restore_runner(&mut self, row: RunnerRow) {
        self.runners.insert(row);
    }

    pub(in super::super) fn restore_lease(&mut self, row: LeaseRow) {
        self.put_lease(row);
    }

    pub(in super::super) fn restore_binding(&mut self, job_id: JobId, row: &StoredBinding) {
        self.queue.bind(job_id, row.runner_id, &row.offer);
        if let Some(token) = row.started {
            self.queue.start(job_id, row.runner_id, token);
        }
    }

    pub(in super::super) fn restore_lost(&mut self, job_id: JobId, lost: LostWorkspace) {
        self.lost.entry(job_id).or_default().push(lost);
    }
}

impl LeaseRow {
    /// Whether nothing was started under it, and its stage has not been released yet.
    pub(super) fn is_unstarted(&self) -> bool {
        match self.state {
            LeaseState::Offered => true,
            LeaseState::Void { was_confirmed } => !was_confirmed,
            LeaseState::Confirmed | LeaseState::Ended => false,
        }
    }
}
