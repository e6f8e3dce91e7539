//! Errors that a store, or the code on top of it, could have. A test must find each
//! of them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use crate::{
    domain::{FencingToken, LeaseId, PipelineId},
    store::{
        Acquisition, Batch, Change, CommitError, CommitSubscriber, Committed, JobChange,
        LeaseRequest, LeaseRow, LeaseState, LeaseWrite, PipelineState, StoreError, Write,
    },
};

use super::Double;

/// How far the wrong clock is ahead.
const SKEW: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A void lease passes for a live one.
    SkippedFence,
    /// What reads see passes for durable.
    ShownEarly,
    /// The subscriber is not notified of commits.
    LostNotification,
    /// The subscriber is notified only after the caller got its response: never, if the
    /// caller is gone by then.
    SkippedFollowUp,
    /// A failure of the store passes for nothing to do, and is not retried.
    LostTurn,
    /// Tokens restart far below those of the earlier process.
    TokenReset,
    /// The idempotency record is written in a commit of its own.
    AnswerOutside,
    /// Leases expire by a clock that is ahead.
    SkewedClock,
    /// The loss of a workspace is not stored.
    ForgottenLoss,
    /// A stage is assigned but its lease is not stored.
    NoLeaseRow,
}

#[derive(Default)]
pub(super) struct Planted {
    bug: Mutex<Option<Bug>>,
    offered: Mutex<BTreeMap<LeaseId, LeaseRow>>,
    subscriber: Mutex<Option<Arc<dyn CommitSubscriber>>>,
    /// Notifications that the subscriber has not received yet.
    deferred: Mutex<Vec<Committed>>,
}

impl Planted {
    pub(super) fn plant(&self, bug: Option<Bug>) {
        *self.bug.lock() = bug;
    }

    fn is(&self, bug: Bug) -> bool {
        *self.bug.lock() == Some(bug)
    }

    pub(super) fn shows_early(&self) -> bool {
        self.is(Bug::ShownEarly)
    }

    pub(super) fn hides_failure(&self, method: &str) -> bool {
        method == "pipeline" && self.is(Bug::LostTurn)
    }

    /// The subscriber to register with the store.
    pub(super) fn listen(
        self: &Arc<Self>,
        subscriber: Arc<dyn CommitSubscriber>,
    ) -> Arc<dyn CommitSubscriber> {
        *self.subscriber.lock() = Some(subscriber);
        Arc::clone(self) as _
    }

    pub(super) fn notify_deferred(&self) {
        let deferred = std::mem::take(&mut *self.deferred.lock());
        if let Some(subscriber) = &*self.subscriber.lock() {
            deferred.iter().for_each(|told| subscriber.committed(told));
        }
    }
}

impl CommitSubscriber for Planted {
    fn committed(&self, committed: &Committed) {
        let is_of_a_job = |change: &Change| matches!(change, Change::Job(_));
        let bug = *self.bug.lock();
        match bug {
            Some(Bug::LostNotification) if committed.changes.iter().any(is_of_a_job) => {}
            Some(Bug::SkippedFollowUp) => {
                let changes = committed.changes.iter().map(copy).collect();
                self.deferred.lock().push(Committed { changes });
            }
            _ => {
                if let Some(subscriber) = &*self.subscriber.lock() {
                    subscriber.committed(committed);
                }
            }
        }
    }
}

fn copy(change: &Change) -> Change {
    match change {
        Change::Job(change) => Change::Job(JobChange {
            job: Arc::clone(&change.job),
            is_new: change.is_new,
            is_over: change.is_over,
            runs: change.runs.clone(),
        }),
        Change::LeaseEnded(id) => Change::LeaseEnded(*id),
        Change::LeaseDue => Change::LeaseDue,
        Change::Runners => Change::Runners,
        Change::WorkspaceLost(id) => Change::WorkspaceLost(*id),
        Change::Due(kind) => Change::Due(kind),
        Change::Record(collection) => Change::Record(collection),
    }
}

/// What the double does instead of the store; without a bug it does the same.
impl Double {
    pub(super) async fn committed(&self, mut batch: Batch) -> Result<(), CommitError> {
        if self.planted.is(Bug::ForgottenLoss) {
            let is_loss =
                |write: &Write| matches!(write, Write::Lease(LeaseWrite::LoseWorkspace { .. }));
            batch.writes.retain(|write| !is_loss(write));
        }
        if !self.planted.is(Bug::AnswerOutside) || batch.answer.is_none() {
            return self.inner.commit(batch).await;
        }
        let answer = Batch {
            answer: batch.answer.take(),
            ..Batch::default()
        };
        self.inner.commit(batch).await?;
        self.after().await;
        self.inner.commit(answer).await
    }

    pub(super) async fn found(&self, id: PipelineId) -> Result<Option<PipelineState>, StoreError> {
        if self.is_broken() {
            return Ok(None);
        }
        self.inner.pipeline(id).await
    }

    pub(super) async fn held(&self) -> Result<Vec<PipelineId>, StoreError> {
        if self.planted.is(Bug::LostTurn) {
            return Ok(Vec::new());
        }
        self.inner.pipelines_with_held_jobs().await
    }

    pub(super) async fn offered(&self, request: LeaseRequest) -> Result<Acquisition, StoreError> {
        let mut row = match self.inner.offer(request).await? {
            Acquisition::Lease(row) => row,
            nothing @ Acquisition::None(_) => return Ok(nothing),
        };
        self.planted.offered.lock().insert(row.id, row);
        if self.planted.is(Bug::NoLeaseRow) {
            self.drop_lease(row).await?;
        }
        if self.planted.is(Bug::TokenReset) {
            row.token = FencingToken(row.token.0 / 2);
        }
        Ok(Acquisition::Lease(row))
    }

    /// Removes the row of an offer, and leaves its stage out of the queue.
    async fn drop_lease(&self, row: LeaseRow) -> Result<(), StoreError> {
        self.inner.due_leases(row.due()).await?;
        let settle = LeaseWrite::Settle {
            id: row.id,
            token: row.token,
        };
        let settled = self.inner.commit(Batch::of([Write::Lease(settle)])).await;
        settled.map_err(|error| StoreError::transient(error.to_string()))
    }

    pub(super) async fn live(
        &self,
        id: LeaseId,
        token: FencingToken,
        owner: &str,
        now: SystemTime,
    ) -> Result<Option<LeaseRow>, StoreError> {
        let live = self.inner.live_lease(id, token, owner, now).await?;
        if live.is_some() || !self.planted.is(Bug::SkippedFence) {
            return Ok(live);
        }
        let offered = self.planted.offered.lock().get(&id).copied();
        Ok(offered.map(|row| LeaseRow {
            state: LeaseState::Confirmed,
            ..row
        }))
    }

    pub(super) async fn due(&self, now: SystemTime) -> Result<Vec<LeaseRow>, StoreError> {
        let now = if self.planted.is(Bug::SkewedClock) {
            now + SKEW
        } else {
            now
        };
        self.inner.due_leases(now).await
    }
}
