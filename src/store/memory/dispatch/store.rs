use std::time::SystemTime;

use async_trait::async_trait;

use crate::{
    domain::{
        Bindings, Demand, FencingToken, Job, JobId, LeaseId, LostWorkspace, PendingReason,
        RunnerId, SessionId,
    },
    store::{
        Acquisition, Change, KnownRunner, LeaseRequest, LeaseRow, LeaseState, LeaseStore,
        MemoryStore, Presence, ReadyStage, RunnerRow, StoreError,
    },
};

use super::Registered;

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn register(&self, runner: RunnerRow, now: SystemTime) -> Result<bool, StoreError> {
        let registered = self.dispatch().register(runner, now);
        let lost = match registered {
            Registered::Again => return Ok(false),
            Registered::New => None,
            Registered::Replaced(jobs) => Some(jobs),
        };
        self.tell([Change::Runners, Change::LeaseDue]);
        let is_replaced = lost.is_some();
        for job_id in lost.into_iter().flatten() {
            self.tell([Change::WorkspaceLost(job_id)]);
        }
        Ok(is_replaced)
    }

    async fn runner(&self, id: RunnerId) -> Result<Option<KnownRunner>, StoreError> {
        let dispatch = self.dispatch();
        let runner = dispatch.runners.get(id);
        Ok(runner.map(|runner| dispatch.known(runner)))
    }

    async fn list_runners(
        &self,
        after: Option<RunnerId>,
        limit: usize,
    ) -> Result<Vec<KnownRunner>, StoreError> {
        let dispatch = self.dispatch();
        let runners = dispatch.runners.after(after).take(limit);
        Ok(runners.map(|runner| dispatch.known(runner)).collect())
    }

    async fn count_runners(&self) -> Result<usize, StoreError> {
        Ok(self.dispatch().runners.len())
    }

    async fn set_draining(&self, id: RunnerId, is_draining: bool) -> Result<bool, StoreError> {
        if !self.dispatch().runners.set_draining(id, is_draining) {
            return Ok(false);
        }
        self.tell([Change::Runners]);
        Ok(true)
    }

    async fn seen(
        &self,
        id: RunnerId,
        session_id: SessionId,
        owner: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let mut dispatch = self.dispatch();
        let is_known = dispatch.session_of(id, session_id, owner).is_some();
        if is_known {
            dispatch.runners.heard_of(id, now);
        }
        Ok(is_known)
    }

    async fn leave(
        &self,
        id: RunnerId,
        session_id: SessionId,
        owner: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let has_left = self.dispatch().leave(id, session_id, owner, now);
        if has_left {
            self.tell([Change::Runners, Change::LeaseDue]);
        }
        Ok(has_left)
    }

    async fn forget_runners(
        &self,
        seen_before: SystemTime,
        presence: Presence<'_>,
    ) -> Result<usize, StoreError> {
        let mut dispatch = self.dispatch();
        Ok(dispatch.forget_runners(seen_before, presence))
    }

    async fn offer(&self, request: LeaseRequest) -> Result<Acquisition, StoreError> {
        let mut dispatch = self.dispatch();
        let offered = dispatch.offer(&request);
        let is_new_first = matches!(offered, Acquisition::Lease(row)
            if row.id == request.lease_id && dispatch.is_first_due(row.id));
        drop(dispatch);
        if is_new_first {
            self.tell([Change::LeaseDue]);
        }
        Ok(offered)
    }

    async fn live_lease(
        &self,
        id: LeaseId,
        token: FencingToken,
        owner: &str,
        now: SystemTime,
    ) -> Result<Option<LeaseRow>, StoreError> {
        let mut dispatch = self.dispatch();
        let row = dispatch.lease_of(id, token, owner);
        let Some(row) = row.copied().filter(|row| row.is_live(now)) else {
            return Ok(None);
        };
        dispatch.runners.heard_of(row.runner_id, now);
        Ok(Some(row))
    }

    async fn lease(
        &self,
        id: LeaseId,
        token: FencingToken,
        owner: &str,
    ) -> Result<Option<LeaseRow>, StoreError> {
        Ok(self.dispatch().lease_of(id, token, owner).copied())
    }

    async fn renew(
        &self,
        id: LeaseId,
        token: FencingToken,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<bool, StoreError> {
        let mut dispatch = self.dispatch();
        let is_renewable = |row: &LeaseRow| row.state == LeaseState::Confirmed && row.is_live(now);
        let row = dispatch.leases.find(id, token).copied();
        let Some(row) = row.filter(is_renewable) else {
            return Ok(false);
        };
        if row.expires < expires {
            dispatch.leases.put(LeaseRow { expires, ..row });
        }
        Ok(true)
    }

    async fn due_leases(&self, now: SystemTime) -> Result<Vec<LeaseRow>, StoreError> {
        Ok(self.dispatch().due_leases(now))
    }

    async fn next_due_lease(&self) -> Result<Option<SystemTime>, StoreError> {
        let first = self.dispatch().leases.first_due();
        Ok(first.map(|(time, _)| time))
    }

    async fn release(&self, id: LeaseId, token: FencingToken) -> Result<(), StoreError> {
        let row = self.dispatch().leases.find(id, token).copied();
        let Some(row) = row else {
            return Ok(());
        };
        let entry = self.job_entry(row.stage.job_id);
        // Locked until the stage is back: a cancel in between would find nothing to take out.
        let entry = entry.as_ref().map(|entry| entry.lock());
        let job: Option<&Job> = entry.as_ref().map(|entry| &*entry.job);
        let is_released = self.dispatch().release(id, token, job);
        drop(entry);
        if is_released {
            self.tell([Change::Runners]);
        }
        Ok(())
    }

    async fn unbind(&self, job_id: JobId, runner_id: RunnerId) -> Result<(), StoreError> {
        let is_unbound = self.dispatch().unbind_if_idle(job_id, runner_id);
        if is_unbound {
            self.tell([Change::Runners]);
        }
        Ok(())
    }

    async fn next_token(&self) -> Result<FencingToken, StoreError> {
        Ok(self.dispatch().next_token)
    }

    async fn bindings(&self, job_id: JobId) -> Result<Bindings, StoreError> {
        Ok(self.dispatch().queue.bindings(job_id))
    }

    async fn bound_jobs(&self, runner_id: RunnerId) -> Result<Vec<JobId>, StoreError> {
        Ok(self.dispatch().queue.bound_jobs(runner_id))
    }

    async fn lost_workspaces(&self, job_id: JobId) -> Result<Vec<LostWorkspace>, StoreError> {
        let dispatch = self.dispatch();
        Ok(dispatch.lost.get(&job_id).cloned().unwrap_or_default())
    }

    async fn gone_jobs(
        &self,
        runner_id: RunnerId,
        held: &[JobId],
    ) -> Result<Vec<JobId>, StoreError> {
        let is_over = |id: &JobId| {
            let job = self.current_job(*id);
            job.is_none_or(|job| job.state.is_terminal())
        };
        let over: Vec<bool> = held.iter().map(is_over).collect();
        let dispatch = self.dispatch();
        let is_gone = |(id, is_over): (&JobId, bool)| {
            let is_gone = is_over || dispatch.was_taken_from(*id, runner_id);
            is_gone.then_some(*id)
        };
        Ok(held.iter().zip(over).filter_map(is_gone).collect())
    }

    async fn waits_for(
        &self,
        job_id: JobId,
        demand: &Demand,
        presence: Presence<'_>,
    ) -> Result<PendingReason, StoreError> {
        let dispatch = self.dispatch();
        Ok(dispatch.waits_for(job_id, demand, presence))
    }

    async fn silent_runners(&self, presence: Presence<'_>) -> Result<Vec<RunnerId>, StoreError> {
        Ok(self.dispatch().silent_runners(presence))
    }

    async fn next_silence(&self, presence: Presence<'_>) -> Result<Option<SystemTime>, StoreError> {
        Ok(self.dispatch().next_silence(presence))
    }

    async fn ready_stages(&self) -> Result<usize, StoreError> {
        Ok(self.dispatch().queue.len())
    }

    async fn head_of_queue(&self) -> Result<Option<ReadyStage>, StoreError> {
        Ok(self.dispatch().queue.head())
    }

    async fn take_over(
        &self,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<Vec<RunnerId>, StoreError> {
        let embedded = self.dispatch().take_over(now, expires);
        self.tell([Change::Runners, Change::LeaseDue]);
        Ok(embedded)
    }
}
