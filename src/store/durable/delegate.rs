//! The store's traits: operations go through the journal, reads see the live store and, for
//! what is not loaded, the backend.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        Bindings, Demand, Event, FencingToken, Job, JobFacts, JobId, JobState, LeaseId,
        LostWorkspace, PendingReason, Pipeline, PipelineId, RunnerId, SessionId,
    },
    store::{
        Account, Acquisition, Batch, BatchId, ClaimedWork, CommitError, CommitSubscriber, DueStore,
        EndedJob, FactsFilter, Instance, JobFilter, JobStore, KeptAnswer, KnownRunner,
        LeaseRequest, LeaseRow, LeaseStore, Mark, PipelineFilter, PipelineState, PipelineStore,
        PipelineWrite, Precondition, Presence, ReadyStage, Record, RecordQuery, RecordStore,
        RecordWrite, RequestKey, RunnerRow, Store, StoreError, Usage, UsageStore, Write,
    },
};

use super::{DurableStore, operation::ready};

/// How long nothing new is stored after a write has found the disk full.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Applies an operation to the live store, and waits until its effects are durable. A scope of
/// its own unlocks the journal before that.
macro_rules! durably {
    ($self:ident, |$live:ident| $operation:expr) => {{
        let (result, ticket) = {
            let $live = $self.shared.begin()?;
            let result = ready($operation);
            (result, $live.end())
        };
        ticket.durable().await?;
        result
    }};
}

#[async_trait]
impl Store for DurableStore {
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        for wanted in &batch.preconditions {
            if let Precondition::ProjectIsEmpty(project) = wanted
                && self.shared.archive.has_ended_jobs(project).await?
            {
                return Err(CommitError::Conflict);
            }
        }
        if adds(&batch) {
            self.check_space()?;
        }
        if !self.can_seal() && has_secrets(&batch) {
            return Err(StoreError::permanent("secrets cannot be stored", NoKey).into());
        }
        durably!(self, |live| live.commit(batch))
    }

    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError> {
        if self.shared.live().was_committed(id).await? {
            return Ok(true);
        }
        self.shared.archive.was_committed(id).await
    }

    async fn answer(
        &self,
        key: &RequestKey,
        now: SystemTime,
    ) -> Result<Option<KeptAnswer>, StoreError> {
        if let Some(kept) = self.shared.live().answer(key, now).await? {
            return Ok(Some(kept));
        }
        let kept = self.shared.archive.answer(key).await?;
        Ok(kept.filter(|kept| kept.is_valid(now)))
    }

    fn subscribe(&self, subscriber: Arc<dyn CommitSubscriber>) {
        *self.shared.subscriber.write() = Some(subscriber);
    }

    fn instance(&self) -> &Instance {
        &self.shared.instance
    }

    fn can_seal(&self) -> bool {
        self.shared.archive.can_seal()
    }

    fn mark(&self) -> Mark {
        Mark(self.shared.progress.now().failures)
    }

    async fn settled(&self, since: Mark) -> Result<(), StoreError> {
        // Locked: an operation that a read has seen a part of is in the journal once it ends.
        let submitted = self.shared.journal.lock().submitted;
        let reached = self.shared.progress.until(submitted).await;
        // After a failure for good, reads see what is lost, also those that begin after it.
        if reached.failures == since.0 && !self.shared.failed.is_cancelled() {
            return Ok(());
        }
        let closed = self.shared.journal.lock().closed.clone();
        Err(closed.unwrap_or_else(|| {
            StoreError::full("changes that were read could not be written, and are undone")
        }))
    }
}

impl DurableStore {
    pub(super) async fn unload_jobs(&self, ids: &[JobId]) -> Result<usize, StoreError> {
        // What is unloaded must be there to read: their ends are durable after this.
        self.settled(self.mark()).await?;
        let operation = self.shared.begin()?;
        let unloaded = ids.iter().filter(|id| operation.unload_job(**id)).count();
        Ok(unloaded)
    }

    fn check_space(&self) -> Result<(), StoreError> {
        // Each attempt on a full disk costs a load of the live store.
        let was_full = *self.shared.full_since.lock();
        let is_full = was_full.is_some_and(|time| time.elapsed() < FULL_PAUSE);
        if is_full || self.shared.archive.is_low_on_space() {
            return Err(StoreError::full(
                "the disk is almost full: nothing new is stored until there is space",
            ));
        }
        Ok(())
    }
}

/// The engine refuses secrets before this.
#[derive(Debug, thiserror::Error)]
#[error("there is no encryption key")]
struct NoKey;

fn has_secrets(batch: &Batch) -> bool {
    batch.writes.iter().any(|write| match write {
        Write::Pipeline(PipelineWrite::Create(pipeline) | PipelineWrite::Revise(pipeline, _)) => {
            !pipeline.spec.secret_variables.is_empty()
        }
        Write::Job(write) => !write.job.secret_variables.is_empty(),
        _ => false,
    })
}

/// Whether a batch adds something that is not needed to end what was begun.
fn adds(batch: &Batch) -> bool {
    batch.writes.iter().any(|write| {
        matches!(
            write,
            Write::Pipeline(
                PipelineWrite::Create(_) | PipelineWrite::Revise(..) | PipelineWrite::AddJob(..)
            ) | Write::Record(RecordWrite::Put(..))
        )
    })
}

#[async_trait]
impl PipelineStore for DurableStore {
    async fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineState>, StoreError> {
        self.shared.live().pipeline(id).await
    }

    async fn active_jobs(&self, id: PipelineId) -> Result<Vec<JobId>, StoreError> {
        self.shared.live().active_jobs(id).await
    }

    async fn revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Result<Option<Arc<Pipeline>>, StoreError> {
        let live = self.shared.live();
        if let Some(found) = live.revision(id, revision).await? {
            return Ok(Some(found));
        }
        if live.pipeline(id).await?.is_none() {
            return Ok(None);
        }
        self.shared.archive.revision(id, revision).await
    }

    async fn list_pipelines(
        &self,
        filter: &PipelineFilter,
        before: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<Arc<Pipeline>>, StoreError> {
        let live = self.shared.live();
        live.list_pipelines(filter, before, limit).await
    }

    async fn pipelines_with_held_jobs(&self) -> Result<Vec<PipelineId>, StoreError> {
        self.shared.live().pipelines_with_held_jobs().await
    }
}

#[async_trait]
impl JobStore for DurableStore {
    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        match self.shared.live().job(id).await? {
            Some(job) => Ok(Some(job)),
            None => self.shared.archive.job(id).await,
        }
    }

    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError> {
        match self.shared.live().events(id, after).await? {
            Some(events) => Ok(Some(events)),
            None => self.shared.archive.events(id, after).await,
        }
    }

    async fn list_jobs(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError> {
        // The live store first: what is unloaded between the two is found in the backend.
        let live = self.shared.live();
        let loaded = live.list_jobs(filter, before, limit).await?;
        let is_active = |state: &JobState| !state.is_terminal();
        if !filter.states.is_empty() && filter.states.iter().all(is_active) {
            return Ok(loaded);
        }
        let ended = self
            .shared
            .archive
            .list_ended(filter, before, limit)
            .await?;
        let mut jobs: BTreeMap<JobId, Arc<Job>> = BTreeMap::new();
        for job in ended.into_iter().chain(loaded) {
            jobs.insert(job.id, job);
        }
        Ok(jobs.into_values().rev().take(limit).collect())
    }

    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError> {
        self.shared.archive.expired_jobs(keep, ended_before).await
    }

    async fn facts(&self, filter: &FactsFilter) -> Result<Vec<Arc<JobFacts>>, StoreError> {
        self.shared.archive.facts(filter).await
    }
}

#[async_trait]
impl LeaseStore for DurableStore {
    async fn register(&self, runner: RunnerRow, now: SystemTime) -> Result<bool, StoreError> {
        durably!(self, |live| live.register(runner, now))
    }

    async fn runner(&self, id: RunnerId) -> Result<Option<KnownRunner>, StoreError> {
        self.shared.live().runner(id).await
    }

    async fn list_runners(
        &self,
        after: Option<RunnerId>,
        limit: usize,
    ) -> Result<Vec<KnownRunner>, StoreError> {
        self.shared.live().list_runners(after, limit).await
    }

    async fn count_runners(&self) -> Result<usize, StoreError> {
        self.shared.live().count_runners().await
    }

    async fn set_draining(&self, id: RunnerId, is_draining: bool) -> Result<bool, StoreError> {
        durably!(self, |live| live.set_draining(id, is_draining))
    }

    async fn seen(
        &self,
        id: RunnerId,
        session_id: SessionId,
        owner: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let operation = self.shared.begin()?;
        let is_known = ready(operation.seen(id, session_id, owner, now))?;
        operation.end_lazily();
        Ok(is_known)
    }

    async fn leave(
        &self,
        id: RunnerId,
        session_id: SessionId,
        owner: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        durably!(self, |live| live.leave(id, session_id, owner, now))
    }

    async fn forget_runners(
        &self,
        seen_before: SystemTime,
        presence: Presence<'_>,
    ) -> Result<usize, StoreError> {
        durably!(self, |live| live.forget_runners(seen_before, presence))
    }

    async fn offer(&self, request: LeaseRequest) -> Result<Acquisition, StoreError> {
        durably!(self, |live| live.offer(request))
    }

    async fn live_lease(
        &self,
        id: LeaseId,
        token: FencingToken,
        owner: &str,
        now: SystemTime,
    ) -> Result<Option<LeaseRow>, StoreError> {
        let operation = self.shared.begin()?;
        let lease = ready(operation.live_lease(id, token, owner, now))?;
        operation.end_lazily();
        Ok(lease)
    }

    async fn lease(
        &self,
        id: LeaseId,
        token: FencingToken,
        owner: &str,
    ) -> Result<Option<LeaseRow>, StoreError> {
        self.shared.live().lease(id, token, owner).await
    }

    async fn renew(
        &self,
        id: LeaseId,
        token: FencingToken,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<bool, StoreError> {
        let operation = self.shared.begin()?;
        let is_renewed = ready(operation.renew(id, token, now, expires))?;
        operation.end_lazily();
        Ok(is_renewed)
    }

    async fn due_leases(&self, now: SystemTime) -> Result<Vec<LeaseRow>, StoreError> {
        durably!(self, |live| live.due_leases(now))
    }

    async fn next_due_lease(&self) -> Result<Option<SystemTime>, StoreError> {
        self.shared.live().next_due_lease().await
    }

    async fn release(&self, id: LeaseId, token: FencingToken) -> Result<(), StoreError> {
        durably!(self, |live| live.release(id, token))
    }

    async fn unbind(&self, job_id: JobId, runner_id: RunnerId) -> Result<(), StoreError> {
        durably!(self, |live| live.unbind(job_id, runner_id))
    }

    async fn next_token(&self) -> Result<FencingToken, StoreError> {
        self.shared.live().next_token().await
    }

    async fn bindings(&self, job_id: JobId) -> Result<Bindings, StoreError> {
        self.shared.live().bindings(job_id).await
    }

    async fn bound_jobs(&self, runner_id: RunnerId) -> Result<Vec<JobId>, StoreError> {
        self.shared.live().bound_jobs(runner_id).await
    }

    async fn lost_workspaces(&self, job_id: JobId) -> Result<Vec<LostWorkspace>, StoreError> {
        self.shared.live().lost_workspaces(job_id).await
    }

    async fn gone_jobs(
        &self,
        runner_id: RunnerId,
        held: &[JobId],
    ) -> Result<Vec<JobId>, StoreError> {
        self.shared.live().gone_jobs(runner_id, held).await
    }

    async fn waits_for(
        &self,
        job_id: JobId,
        demand: &Demand,
        presence: Presence<'_>,
    ) -> Result<PendingReason, StoreError> {
        self.shared.live().waits_for(job_id, demand, presence).await
    }

    async fn silent_runners(&self, presence: Presence<'_>) -> Result<Vec<RunnerId>, StoreError> {
        self.shared.live().silent_runners(presence).await
    }

    async fn next_silence(&self, presence: Presence<'_>) -> Result<Option<SystemTime>, StoreError> {
        self.shared.live().next_silence(presence).await
    }

    async fn ready_stages(&self) -> Result<usize, StoreError> {
        self.shared.live().ready_stages().await
    }

    async fn head_of_queue(&self) -> Result<Option<ReadyStage>, StoreError> {
        self.shared.live().head_of_queue().await
    }

    async fn take_over(
        &self,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<Vec<RunnerId>, StoreError> {
        durably!(self, |live| live.take_over(now, expires))
    }
}

#[async_trait]
impl RecordStore for DurableStore {
    async fn record(
        &self,
        collection: &'static str,
        key: &str,
    ) -> Result<Option<Record>, StoreError> {
        self.shared.live().record(collection, key).await
    }

    async fn record_version(&self, collection: &'static str, key: &str) -> Result<u64, StoreError> {
        self.shared.live().record_version(collection, key).await
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, StoreError> {
        self.shared.live().records(query).await
    }

    async fn remove_expired_records(&self, now: SystemTime) -> Result<usize, StoreError> {
        durably!(self, |live| live.remove_expired_records(now))
    }
}

#[async_trait]
impl DueStore for DurableStore {
    async fn claim_due(
        &self,
        kind: &'static str,
        owner: Uuid,
        now: SystemTime,
        claimed_until: SystemTime,
        limit: usize,
    ) -> Result<Vec<ClaimedWork>, StoreError> {
        durably!(self, |live| live.claim_due(
            kind,
            owner,
            now,
            claimed_until,
            limit
        ))
    }

    async fn next_due(&self, kind: &'static str) -> Result<Option<SystemTime>, StoreError> {
        self.shared.live().next_due(kind).await
    }

    async fn count_due(&self, kind: &'static str) -> Result<usize, StoreError> {
        self.shared.live().count_due(kind).await
    }
}

/// Only what is in memory is counted.
#[async_trait]
impl UsageStore for DurableStore {
    async fn used(&self, account: &Account) -> Result<u64, StoreError> {
        self.shared.live().used(account).await
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        self.shared.live().usage().await
    }

    async fn ended_jobs(
        &self,
        account: &Account,
        after: Option<EndedJob>,
        limit: usize,
    ) -> Result<Vec<EndedJob>, StoreError> {
        self.shared.live().ended_jobs(account, after, limit).await
    }

    async fn revised_pipelines(
        &self,
        account: &Account,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<PipelineId>, StoreError> {
        let live = self.shared.live();
        live.revised_pipelines(account, after, limit).await
    }

    async fn remove_answers(&self, made_before: SystemTime) -> Result<usize, StoreError> {
        durably!(self, |live| live.remove_answers(made_before))
    }

    async fn unload_job(&self, id: JobId) -> Result<bool, StoreError> {
        Ok(self.unload_jobs(&[id]).await? > 0)
    }

    async fn unload_before(&self, time: SystemTime) -> Result<usize, StoreError> {
        let ended = self.shared.live().ended_before(time);
        let mut unloaded = 0;
        for ids in ended.chunks(256) {
            unloaded += self.unload_jobs(ids).await?;
        }
        self.shared.live().unload_answers(time);
        Ok(unloaded)
    }
}
