//! The ready stages, the runners, and what they hold, behind one lock: an offer reads and
//! changes all of them in one step.

mod guard;
mod leases;
mod presence;
mod queue;
#[cfg(test)]
mod queue_model;
mod queues;
mod rows;
mod runners;
mod store;
mod writes;

use std::{collections::HashMap, ops::ControlFlow, sync::Arc, time::SystemTime};

use crate::{
    domain::{
        FencingToken, Job, JobId, LeaseId, LostWorkspace, RunnerId, SessionId, StageRun, StageState,
    },
    store::{Acquisition, KnownRunner, LeaseRequest, LeaseRow, LeaseState, NotOffered, RunnerRow},
};

pub(super) use guard::LockedDispatch;
use leases::{Leases, voided};
use queue::{Claim, ReadyQueue};
use runners::{Runner, Runners};

/// What stands between ready stages and runners.
pub(super) struct Dispatch {
    queue: ReadyQueue,
    runners: Runners,
    leases: Leases,
    /// Of active jobs: workspaces that are gone.
    lost: HashMap<JobId, Vec<LostWorkspace>>,
    next_token: FencingToken,
    /// A token was taken since the changes were captured last.
    is_token_taken: bool,
}

impl Dispatch {
    pub(super) fn new(next_token: FencingToken) -> Self {
        Self {
            queue: ReadyQueue::default(),
            runners: Runners::default(),
            leases: Leases::default(),
            lost: HashMap::new(),
            next_token,
            is_token_taken: false,
        }
    }

    /// Takes in what new events mean to the queue: runs that are ready wait, others do not,
    /// and of a job that is over nothing is kept.
    pub(super) fn note_job(&mut self, job: &Job, changed: &[Arc<StageRun>]) {
        for run in changed {
            if run.state == StageState::Queued {
                self.queue.insert(job, run);
            } else {
                self.queue.remove(job, run);
            }
        }
        if job.state.is_terminal() {
            self.forget_job(job.id);
        }
    }

    pub(super) fn forget_job(&mut self, id: JobId) {
        self.queue.forget(id);
        if self.lost.remove(&id).is_some() {
            self.queue.touched.note(id);
        }
    }

    fn offer(&mut self, request: &LeaseRequest) -> Acquisition {
        let claim = match self.claim_for(request) {
            ControlFlow::Continue(claim) => claim,
            ControlFlow::Break(answer) => return answer,
        };
        let Some(stage) = self.queue.claim(&claim) else {
            return Acquisition::None(NotOffered::NothingReady);
        };
        let runner_id = request.runner_id;
        let token = self.next_token;
        self.next_token.0 += 1;
        self.is_token_taken = true;
        let row = LeaseRow {
            id: request.lease_id,
            token,
            stage,
            runner_id,
            session_id: request.session_id,
            request_id: request.request_id,
            workspace_exists: self.queue.started(stage.job_id, runner_id).is_some(),
            state: LeaseState::Offered,
            expires: request.expires,
            ends_by: None,
            overran: false,
        };
        self.put_lease(row);
        Acquisition::Lease(row)
    }

    /// What a request may claim; else the answer to it.
    fn claim_for(&self, request: &LeaseRequest) -> ControlFlow<Acquisition, Claim> {
        let Some(runner) = self.session(request.runner_id, request.session_id) else {
            return ControlFlow::Break(Acquisition::None(NotOffered::Unregistered));
        };
        let is_same = |row: &&LeaseRow| row.request_id == request.request_id;
        let mut earlier = self.held_by(runner).filter(is_same);
        if let Some(row) = earlier.find(|row| row.is_live(request.now)) {
            return ControlFlow::Break(Acquisition::Lease(*row));
        }
        if !runner.has_room() {
            return ControlFlow::Break(Acquisition::None(NotOffered::NoRoom));
        }
        ControlFlow::Continue(Claim {
            runner_id: request.runner_id,
            offer: Arc::clone(&runner.row.registration.offer),
            only_bound: runner.row.is_draining,
        })
    }

    fn register(&mut self, row: RunnerRow, now: SystemTime) -> Registered {
        let known = self.runners.get(row.id);
        let is_known = known.is_some();
        if known.is_some_and(|known| known.is_session(row.registration.session_id)) {
            self.runners.heard_of(row.id, now);
            return Registered::Again;
        }
        let id = row.id;
        self.void_leases_of(id, now, |_| true);
        self.runners.insert(RunnerRow {
            is_draining: false,
            last_seen: now,
            ..row
        });
        if is_known {
            Registered::Replaced(self.lose_workspaces_of(id))
        } else {
            Registered::New
        }
    }

    /// Gives up all workspaces of a runner whose process was another one. Answers with the
    /// jobs that they were of.
    fn lose_workspaces_of(&mut self, runner_id: RunnerId) -> Vec<JobId> {
        let jobs = self.queue.bound_jobs(runner_id);
        for job_id in &jobs {
            let bound = self.queue.bindings(*job_id);
            let bound = bound.into_iter().find(|(id, _)| *id == runner_id);
            if let Some((_, offer)) = bound {
                let lost = LostWorkspace {
                    runner_id,
                    offer,
                    before: self.next_token,
                };
                self.lose(*job_id, lost);
            }
        }
        jobs
    }

    fn leave(&mut self, id: RunnerId, session_id: SessionId, owner: &str, now: SystemTime) -> bool {
        if self.session_of(id, session_id, owner).is_none() {
            return false;
        }
        self.runners.leave(id);
        self.void_leases_of(id, now, |row| row.state == LeaseState::Offered);
        true
    }

    fn void_leases_of(
        &mut self,
        id: RunnerId,
        now: SystemTime,
        is_void: impl Fn(&LeaseRow) -> bool,
    ) {
        let runner = self.runners.get(id).into_iter();
        let held = runner.flat_map(|runner| self.held_by(runner)).copied();
        let void: Vec<LeaseRow> = held.filter(is_void).collect();
        for row in void {
            self.put_lease(voided(row, now));
        }
    }

    fn due_leases(&mut self, now: SystemTime) -> Vec<LeaseRow> {
        let mut over = Vec::new();
        for row in self.leases.due(now) {
            let void = match row.state {
                LeaseState::Ended => {
                    self.leases.remove(row.id);
                    continue;
                }
                LeaseState::Void { .. } => row,
                LeaseState::Offered | LeaseState::Confirmed => voided(row, now),
            };
            self.put_lease(void);
            over.push(void);
        }
        over
    }

    fn take_over(&mut self, now: SystemTime, expires: SystemTime) -> Vec<RunnerId> {
        let embedded = self.runners.all().map(|runner| &runner.row);
        let embedded = embedded.filter(|row| row.is_embedded());
        let mut embedded: Vec<RunnerId> = embedded.map(|row| row.id).collect();
        for id in &embedded {
            self.void_leases_of(*id, now, |_| true);
            self.runners.remove(*id);
        }
        let held = self.leases.all().filter(|row| row.is_held());
        for row in held.copied().collect::<Vec<_>>() {
            self.put_lease(LeaseRow { expires, ..row });
        }
        let remaining = self.runners.all().map(|runner| &runner.row);
        let remaining = remaining.filter(|row| !row.has_left);
        let remaining: Vec<RunnerId> = remaining.map(|row| row.id).collect();
        for id in remaining {
            self.runners.heard_of(id, now);
        }
        embedded.retain(|id| !self.queue.bound_jobs(*id).is_empty());
        embedded
    }

    pub(super) fn carry_over(&mut self, earlier: &Self) {
        for runner in earlier.runners.all() {
            if !runner.row.has_left {
                self.runners.heard_of(runner.row.id, runner.row.last_seen);
            }
        }
        for lease in earlier.leases.all() {
            let same = self.leases.find(lease.id, lease.token).copied();
            if let Some(row) = same.filter(|row| row.is_held() && row.expires < lease.expires) {
                let expires = lease.expires;
                self.leases.put(LeaseRow { expires, ..row });
            }
        }
    }

    /// Keeps a lease, and with it what its runner holds.
    fn put_lease(&mut self, row: LeaseRow) {
        if let Some(runner) = self.runners.get_mut(row.runner_id) {
            if row.is_held() {
                runner.held.insert(row.token, row.id);
            } else {
                runner.held.remove(&row.token);
            }
        }
        self.leases.put(row);
    }

    /// Whether a workspace of the job was given up there, and none was taken up again since.
    fn was_taken_from(&self, job_id: JobId, runner_id: RunnerId) -> bool {
        let lost = self.lost.get(&job_id);
        let is_lost = lost.is_some_and(|lost| lost.iter().any(|one| one.runner_id == runner_id));
        is_lost && !self.queue.is_bound(job_id, runner_id)
    }

    /// The lease of this id and token, if this principal registered its runner.
    fn lease_of(&self, id: LeaseId, token: FencingToken, owner: &str) -> Option<&LeaseRow> {
        let row = self.leases.find(id, token)?;
        let runner = self.runners.get(row.runner_id)?;
        runner.is_of(owner).then_some(row)
    }

    /// The runner of a session, if this principal registered it.
    fn session_of(&self, id: RunnerId, session_id: SessionId, owner: &str) -> Option<&Runner> {
        let runner = self.runners.get(id);
        runner.filter(|runner| runner.is_session(session_id) && runner.is_of(owner))
    }

    fn session(&self, id: RunnerId, session_id: SessionId) -> Option<&Runner> {
        let runner = self.runners.get(id);
        runner.filter(|runner| runner.is_session(session_id))
    }

    fn held_by<'a>(&'a self, runner: &'a Runner) -> impl Iterator<Item = &'a LeaseRow> {
        let held = runner.held.values();
        held.filter_map(|id| self.leases.get(*id))
    }

    fn known(&self, runner: &Runner) -> KnownRunner {
        KnownRunner {
            row: Arc::clone(&runner.row),
            leases: self.held_by(runner).copied().collect(),
        }
    }

    fn is_first_due(&self, id: LeaseId) -> bool {
        self.leases
            .first_due()
            .is_some_and(|(_, first)| first == id)
    }
}

/// What a registration was.
enum Registered {
    /// Of a session that is known.
    Again,
    New,
    /// Of a session that takes the place of another one, whose workspaces of these jobs are
    /// gone.
    Replaced(Vec<JobId>),
}
