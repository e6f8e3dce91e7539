use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::{
    Bindings, Demand, FencingToken, JobId, LeaseId, LostWorkspace, PendingReason, RunKey, RunnerId,
    SessionId, lease::Registration,
};

use super::StoreError;

/// The queue of ready stages, the runners and their leases. All are rows, so that
/// they survive a crash of the process.
///
/// A stage is in the queue from the commit that made it ready until it is offered.
/// Every offer has a lease row with a token of its own. The token is greater than
/// all earlier ones, including those of earlier processes. A lease that expires or
/// is replaced becomes void, and its row stays until it is settled: a stage whose
/// lease is gone is never forgotten.
///
/// Times are those of the engine's steady clock, which neither jumps nor goes back.
#[async_trait]
pub trait LeaseStore {
    /// Registers a runner. A session other than the known one replaces it: in one step
    /// the leases of the earlier session become void and due at `now`, and its
    /// workspaces are lost. Returns whether a session was replaced. The same session
    /// only updates the time at which it was seen.
    async fn register(&self, runner: RunnerRow, now: SystemTime) -> Result<bool, StoreError>;

    /// A runner, with the leases that it holds.
    async fn runner(&self, id: RunnerId) -> Result<Option<KnownRunner>, StoreError>;

    /// At most `limit` runners in the order of their ids, after `after` if given.
    async fn list_runners(
        &self,
        after: Option<RunnerId>,
        limit: usize,
    ) -> Result<Vec<KnownRunner>, StoreError>;

    async fn count_runners(&self) -> Result<usize, StoreError>;

    /// While draining, the runner gets only stages of jobs that are bound to it. False
    /// if there is no such runner.
    async fn set_draining(&self, id: RunnerId, is_draining: bool) -> Result<bool, StoreError>;

    /// Notes that a session was heard of. False if it is not the present one of a runner that
    /// this principal registered.
    async fn seen(
        &self,
        id: RunnerId,
        session_id: SessionId,
        owner: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError>;

    /// Notes that a session has left: see [`RunnerRow::has_left`]. Its offers that were not
    /// confirmed are void and due at `now`; a confirmed lease stays until it expires, because
    /// its stage may still run. False if it is not the present session of a runner that this
    /// principal registered.
    async fn leave(
        &self,
        id: RunnerId,
        session_id: SessionId,
        owner: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError>;

    /// Removes runners that hold nothing and were not seen since a time, unless they
    /// are present.
    async fn forget_runners(
        &self,
        seen_before: SystemTime,
        presence: Presence<'_>,
    ) -> Result<usize, StoreError>;

    /// Assigns to the session the first ready stage that it may run, in one step: the
    /// stage leaves the queue, the job is bound to the runner (stages that the runner's
    /// offer satisfies go to no other runner), the token increases, and the lease is a
    /// row. A request that already got a lease gets the same one again while that is
    /// live.
    async fn offer(&self, request: LeaseRequest) -> Result<Acquisition, StoreError>;

    /// The lease of this id and token, if it is live at `now` and this principal registered
    /// its runner; notes that the runner was heard of.
    async fn live_lease(
        &self,
        id: LeaseId,
        token: FencingToken,
        owner: &str,
        now: SystemTime,
    ) -> Result<Option<LeaseRow>, StoreError>;

    /// The lease of this id and token in whatever state, while it is remembered, if this
    /// principal registered its runner.
    async fn lease(
        &self,
        id: LeaseId,
        token: FencingToken,
        owner: &str,
    ) -> Result<Option<LeaseRow>, StoreError>;

    /// Extends a confirmed lease that is live at `now`; `expires` never moves back.
    /// False if it is not live.
    async fn renew(
        &self,
        id: LeaseId,
        token: FencingToken,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<bool, StoreError>;

    /// Leases that have expired by now and are not settled; all of them become void.
    /// Removes ended leases whose time to be remembered has passed. The same lease is
    /// returned again until it is settled.
    async fn due_leases(&self, now: SystemTime) -> Result<Vec<LeaseRow>, StoreError>;

    /// When the next lease is due; `None` without one. Void leases are due immediately.
    async fn next_due_lease(&self) -> Result<Option<SystemTime>, StoreError>;

    /// Releases a lease whose stage was never started: the row is removed and the stage
    /// is queued again if its run is still ready. The job is unbound from the runner if
    /// nothing of it was started there and no other lease of the runner is for it. Does
    /// nothing if the row is gone, or if the stage was started.
    async fn release(&self, id: LeaseId, token: FencingToken) -> Result<(), StoreError>;

    /// Unbinds a job from a runner on which nothing of it was started, and on which it
    /// has no live lease.
    async fn unbind(&self, job_id: JobId, runner_id: RunnerId) -> Result<(), StoreError>;

    /// All tokens below this one were issued before now.
    async fn next_token(&self) -> Result<FencingToken, StoreError>;

    /// The runners that hold a workspace of an active job, with their offers.
    async fn bindings(&self, job_id: JobId) -> Result<Bindings, StoreError>;

    async fn bound_jobs(&self, runner_id: RunnerId) -> Result<Vec<JobId>, StoreError>;

    /// Lost workspaces of an active job, in the order in which they were lost.
    async fn lost_workspaces(&self, job_id: JobId) -> Result<Vec<LostWorkspace>, StoreError>;

    /// Those of the given jobs whose workspaces the runner should remove: the job has
    /// ended, or its workspace was given up and the runner has not taken the job up
    /// again.
    async fn gone_jobs(
        &self,
        runner_id: RunnerId,
        held: &[JobId],
    ) -> Result<Vec<JobId>, StoreError>;

    /// Why a ready stage of a job waits, by the same rule that offers use.
    async fn waits_for(
        &self,
        job_id: JobId,
        demand: &Demand,
        presence: Presence<'_>,
    ) -> Result<PendingReason, StoreError>;

    /// Runners that are bound to a job and not present.
    async fn silent_runners(&self, presence: Presence<'_>) -> Result<Vec<RunnerId>, StoreError>;

    /// When the next runner that is bound to a job becomes silent unless it is seen
    /// again.
    async fn next_silence(&self, presence: Presence<'_>) -> Result<Option<SystemTime>, StoreError>;

    /// Count of the stages in the queue.
    async fn ready_stages(&self) -> Result<usize, StoreError>;

    /// The stage at the head of the queue, for any runner.
    async fn head_of_queue(&self) -> Result<Option<ReadyStage>, StoreError>;

    /// Called after a start, before any other call. Leases of embedded runners of the
    /// earlier process (see [`RunnerRow::is_embedded`]) become void and due at `now`,
    /// and these runners are removed. Other leases that are not void are live until
    /// `expires`, regardless of their remaining time, and all other runners count as
    /// seen at `now`, with a lease or without. Returns the runners of the earlier
    /// process that are bound to jobs.
    async fn take_over(
        &self,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<Vec<RunnerId>, StoreError>;
}

/// A stage that waits for a runner, or that was assigned to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadyStage {
    pub job_id: JobId,
    pub run: RunKey,
}

/// A runner as it registered.
#[derive(Clone, Debug, PartialEq)]
pub struct RunnerRow {
    pub id: RunnerId,
    /// What it reported about itself, and its owner.
    pub registration: Registration,
    /// When this session registered, by the wall clock.
    pub register_time: SystemTime,
    /// It gets only stages of jobs that are bound to it.
    pub is_draining: bool,
    pub last_seen: SystemTime,
    /// It has said that it stops, or its principal may no longer call: it is not present,
    /// whenever it was heard of last, until it is heard of again.
    pub has_left: bool,
}

impl RunnerRow {
    /// It runs in the service's own process, and ends with it: no principal owns it.
    pub fn is_embedded(&self) -> bool {
        self.registration.owner.is_empty()
    }
}

/// A runner with its leases.
#[derive(Clone, Debug)]
pub struct KnownRunner {
    pub row: Arc<RunnerRow>,
    /// Its leases that are not ended and not void, in the order of their tokens.
    pub leases: Vec<LeaseRow>,
}

/// A stage that was assigned to a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    pub id: LeaseId,
    pub token: FencingToken,
    pub stage: ReadyStage,
    pub runner_id: RunnerId,
    pub session_id: SessionId,
    /// The request that got the lease.
    pub request_id: Uuid,
    /// An earlier stage of the job was started on this runner, in a workspace that
    /// still exists.
    pub workspace_exists: bool,
    pub state: LeaseState,
    /// When the lease becomes void unless it is renewed; for an ended one, when the row
    /// is removed.
    pub expires: SystemTime,
    /// The service's own deadline for the stage; renewals do not extend it.
    pub ends_by: Option<SystemTime>,
    /// The deadline had passed when the lease became void.
    pub overran: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Assigned; the stage may not have been started.
    Offered,
    /// The stage was started.
    Confirmed,
    /// Ended normally, and remembered for a while: the runner may report the end again.
    Ended,
    /// No write under it is accepted any more; its stage has yet to be given up.
    Void {
        /// The stage was started under it.
        was_confirmed: bool,
    },
}

impl LeaseRow {
    pub fn due(&self) -> SystemTime {
        self.ends_by
            .map_or(self.expires, |ends_by| ends_by.min(self.expires))
    }

    /// Whether writes under it are accepted.
    pub fn is_live(&self, now: SystemTime) -> bool {
        self.is_held() && now < self.due()
    }

    /// Whether it takes one of its runner's slots.
    pub fn is_held(&self) -> bool {
        matches!(self.state, LeaseState::Offered | LeaseState::Confirmed)
    }
}

/// A session requests a stage.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    pub runner_id: RunnerId,
    pub session_id: SessionId,
    /// Distinguishes a repeated request from a new one.
    pub request_id: Uuid,
    /// Id for the lease, if there is a stage.
    pub lease_id: LeaseId,
    pub now: SystemTime,
    /// When the offer becomes void unless it is confirmed.
    pub expires: SystemTime,
}

/// The result of a request for a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquisition {
    /// A lease; the earlier one if the request is a repetition and that lease is live.
    Lease(LeaseRow),
    None(NotOffered),
}

/// Why a request got no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOffered {
    /// No ready stage matches the runner.
    NothingReady,
    /// The runner holds as many leases as it can.
    NoRoom,
    /// The session is not the runner's current one, or there is no such runner.
    Unregistered,
}

/// Which runners are there: those with a live lease, and of those that have not left, those
/// that were heard of lately and those that wait for work right now.
#[derive(Clone, Copy)]
pub struct Presence<'a> {
    pub now: SystemTime,
    /// A runner that was seen after this time is present.
    pub seen_since: SystemTime,
    /// Whether a call of this session waits for work in this process. It must not call
    /// the store, which may hold locks meanwhile.
    pub waits: &'a (dyn Fn(RunnerId, SessionId) -> bool + Sync),
}
