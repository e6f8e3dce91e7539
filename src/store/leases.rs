use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::{
    Bindings, Demand, FencingToken, JobId, LeaseId, LostWorkspace, PendingReason, RunKey, RunnerId,
    SessionId, lease::Registration,
};

use super::StoreError;

/// The queue of ready stages, the runners, and what they hold: all rows, so that they
/// survive what the process does not.
///
/// A stage is in the queue from the commit that made it ready until it is offered. Every
/// offer has a lease row with a token of its own, greater than all before it, also those of
/// an earlier process. A lease that expires or is replaced becomes void, and stays until it
/// is settled: a stage whose lease is gone is never forgotten.
///
/// Times are those of the engine's steady clock, which neither jumps nor goes back.
#[async_trait]
pub trait LeaseStore {
    /// Keeps a runner. Another session than the one that is known takes its place: leases of
    /// the earlier one are void and due at `now`, and its workspaces are lost, all in one step.
    /// Answers whether that was so. The same session changes nothing but when it was seen.
    async fn register(&self, runner: RunnerRow, now: SystemTime) -> Result<bool, StoreError>;

    /// A runner, with the leases that it holds.
    async fn runner(&self, id: RunnerId) -> Result<Option<KnownRunner>, StoreError>;

    /// At most `limit` runners, in the order of their ids, after `after` if given.
    async fn list_runners(
        &self,
        after: Option<RunnerId>,
        limit: usize,
    ) -> Result<Vec<KnownRunner>, StoreError>;

    /// How many runners are known.
    async fn count_runners(&self) -> Result<usize, StoreError>;

    /// Gives a runner only stages of jobs that are bound to it, or any again. False if there
    /// is no such runner.
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

    /// Forgets runners that hold nothing and were not seen since a time, but for those that
    /// are present.
    async fn forget_runners(
        &self,
        seen_before: SystemTime,
        presence: Presence<'_>,
    ) -> Result<usize, StoreError>;

    /// Gives the first ready stage that the session may have to it, in one step: the stage
    /// leaves the queue, the job is bound to the runner (stages of it for which the runner's
    /// offer is enough go to no other), the token is counted up, and the lease is a row. A
    /// request that got a lease before which still lives gets that one again.
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

    /// Lengthens a confirmed lease that is live at `now`; `expires` never moves back. False
    /// if it is not.
    async fn renew(
        &self,
        id: LeaseId,
        token: FencingToken,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<bool, StoreError>;

    /// Leases that are over by now and not settled, all of them void from here on; those
    /// whose end was told and need not be remembered any longer go. The same lease comes
    /// again until it is settled.
    async fn due_leases(&self, now: SystemTime) -> Result<Vec<LeaseRow>, StoreError>;

    /// When the next lease is due; none without one. Void ones are due at once.
    async fn next_due_lease(&self) -> Result<Option<SystemTime>, StoreError>;

    /// Gives back what was never started: the row goes, the stage waits again if its run is
    /// still ready, and the job is unbound from the runner if nothing of it was started
    /// there and no other lease of the runner is for it. Nothing if the row is gone, or is
    /// of a stage that was started.
    async fn release(&self, id: LeaseId, token: FencingToken) -> Result<(), StoreError>;

    /// Lets a job go from a runner on which nothing of it was started, and on which no live
    /// lease of it is.
    async fn unbind(&self, job_id: JobId, runner_id: RunnerId) -> Result<(), StoreError>;

    /// All tokens below this one were handed out before now.
    async fn next_token(&self) -> Result<FencingToken, StoreError>;

    /// The runners that keep a workspace of an active job, with what they offer.
    async fn bindings(&self, job_id: JobId) -> Result<Bindings, StoreError>;

    /// The jobs that are bound to a runner.
    async fn bound_jobs(&self, runner_id: RunnerId) -> Result<Vec<JobId>, StoreError>;

    /// Workspaces of an active job that are gone, in the order in which they were lost.
    async fn lost_workspaces(&self, job_id: JobId) -> Result<Vec<LostWorkspace>, StoreError>;

    /// Those of the held jobs whose workspaces the runner is to remove: the job is over, or
    /// its workspace was given up and the runner has not taken the job up again.
    async fn gone_jobs(
        &self,
        runner_id: RunnerId,
        held: &[JobId],
    ) -> Result<Vec<JobId>, StoreError>;

    /// Why a ready stage of a job waits, by the rule that an offer goes by.
    async fn waits_for(
        &self,
        job_id: JobId,
        demand: &Demand,
        presence: Presence<'_>,
    ) -> Result<PendingReason, StoreError>;

    /// Runners that are bound to a job and not present.
    async fn silent_runners(&self, presence: Presence<'_>) -> Result<Vec<RunnerId>, StoreError>;

    /// When the next runner that is bound to a job would be silent, if it says nothing more.
    async fn next_silence(&self, presence: Presence<'_>) -> Result<Option<SystemTime>, StoreError>;

    /// Stages that wait in the queue.
    async fn ready_stages(&self) -> Result<usize, StoreError>;

    /// The stage at the head of the queue, whoever may have it.
    async fn head_of_queue(&self) -> Result<Option<ReadyStage>, StoreError>;

    /// After a start, before anything else is asked: leases of runners of the earlier
    /// process itself (see [`RunnerRow::is_embedded`]) are void and due at `now`, and these
    /// runners are gone; other leases that are not void live until `expires`, whatever they
    /// had left, and all other runners count as seen at `now`, with a lease or without.
    /// Answers with the runners of the earlier process that are bound to jobs.
    async fn take_over(
        &self,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<Vec<RunnerId>, StoreError>;
}

/// A stage that waits for a runner, or that was given to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadyStage {
    /// Its job.
    pub job_id: JobId,
    /// Which run of it.
    pub run: RunKey,
}

/// A runner as it registered.
#[derive(Clone, Debug, PartialEq)]
pub struct RunnerRow {
    /// Names it.
    pub id: RunnerId,
    /// What it said of itself, and who it is.
    pub registration: Registration,
    /// When this session came, by the wall clock.
    pub register_time: SystemTime,
    /// It is given only stages of jobs that are bound to it.
    pub is_draining: bool,
    /// When it was heard of last.
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

/// A runner with what it holds.
#[derive(Clone, Debug)]
pub struct KnownRunner {
    /// The runner.
    pub row: Arc<RunnerRow>,
    /// Its leases that are not ended and not void, in the order of their tokens.
    pub leases: Vec<LeaseRow>,
}

/// A stage that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// Names it.
    pub id: LeaseId,
    /// Its fencing token.
    pub token: FencingToken,
    /// The stage.
    pub stage: ReadyStage,
    /// Who has it.
    pub runner_id: RunnerId,
    /// Which process of the runner.
    pub session_id: SessionId,
    /// The request that got it.
    pub request_id: Uuid,
    /// An earlier stage of the job was started on this runner, in a workspace that it still
    /// has.
    pub workspace_exists: bool,
    /// Where it is in its life.
    pub state: LeaseState,
    /// Void from here on, unless it is renewed; of an ended one, when the row goes.
    pub expires: SystemTime,
    /// The service's own end of the stage, which no renewal moves.
    pub ends_by: Option<SystemTime>,
    /// That end had come when it became void.
    pub overran: bool,
}

/// Where a lease is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Given out; nothing may have been started.
    Offered,
    /// The stage was started.
    Confirmed,
    /// Over as it should be, and remembered for a while: its end may be told again.
    Ended,
    /// No write under it is taken any more; its stage has yet to be given up. Says whether
    /// the stage was started.
    Void {
        /// The stage was started under it.
        was_confirmed: bool,
    },
}

impl LeaseRow {
    /// When it is over.
    pub fn due(&self) -> SystemTime {
        self.ends_by
            .map_or(self.expires, |ends_by| ends_by.min(self.expires))
    }

    /// Whether writes under it are taken.
    pub fn is_live(&self, now: SystemTime) -> bool {
        self.is_held() && now < self.due()
    }

    /// Whether it takes one of its runner's slots.
    pub fn is_held(&self) -> bool {
        matches!(self.state, LeaseState::Offered | LeaseState::Confirmed)
    }
}

/// A session asks for a stage.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Who asks.
    pub runner_id: RunnerId,
    /// Which process of it.
    pub session_id: SessionId,
    /// Tells a repeated request from a new one.
    pub request_id: Uuid,
    /// Id of the lease, if there is a stage.
    pub lease_id: LeaseId,
    /// Now.
    pub now: SystemTime,
    /// When the offer is void unless it is confirmed.
    pub expires: SystemTime,
}

/// What a request for a stage got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquisition {
    /// A lease; an earlier one of the same request if that lives.
    Lease(LeaseRow),
    /// Nothing, for this reason.
    None(NotOffered),
}

/// Why a request got no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOffered {
    /// No ready stage is for it.
    NothingReady,
    /// The runner holds as many leases as it can.
    NoRoom,
    /// The session is not the runner's present one, or there is no such runner.
    Unregistered,
}

/// Which runners are there: those with a live lease, and of those that have not left, those
/// that were heard of lately and those that wait for work right now.
#[derive(Clone, Copy)]
pub struct Presence<'a> {
    /// Now.
    pub now: SystemTime,
    /// A runner that was seen after this time is there.
    pub seen_since: SystemTime,
    /// Whether a call of this session waits for work in this process. It must not ask the
    /// store anything: that may hold locks meanwhile.
    pub waits: &'a (dyn Fn(RunnerId, SessionId) -> bool + Sync),
}
