//! Budgets of memory: what the whole service, a project and a caller may have stored.
//!
//! A call that stores something is committed within its budgets. If one is exceeded, ended
//! jobs and old revisions of the same account are evicted, and the call is refused only if
//! that does not make room. What runners report is never subject to a budget.

use std::sync::Arc;

use metrics::counter;
use tokio::{sync::Mutex, task};

use crate::{
    domain::PipelineId,
    store::{Account, Batch, CommitError, Limit, OverLimit, PipelineWrite, Write},
    telemetry::metrics::{MEMORY_EVICTIONS, MEMORY_REFUSALS},
};

use super::{
    Call, Error,
    journal::{Answered, Conflicts, Journal, Plan},
    settings::MemoryLimits,
    signals::Signals,
};

/// Candidates for eviction that are read at a time.
const PAGE: usize = 256;
/// The share of a limit, as a divisor, that an eviction leaves free beyond what the call
/// needs, so that not every call has to evict.
const HEADROOM: u64 = 16;
/// How long idempotency records are kept whatever the budgets: 1 h.
const ANSWERS_KEPT: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// Commits what callers have stored, within the budgets.
pub(super) struct Budgets {
    journal: Arc<Journal>,
    signals: Arc<Signals>,
    limits: MemoryLimits,
    /// Of many calls that find an account full, one evicts and the others see what it freed.
    evicting: Mutex<()>,
}

/// What a call adds to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) project: &'a str,
    /// The principal that the value counts for, if that is not the caller.
    pub(super) owner: Option<&'a str>,
    /// The pipeline of which a revision is added: its old ones go first.
    pub(super) revised: Option<PipelineId>,
}

impl<'a> Scope<'a> {
    pub(super) fn project(project: &'a str) -> Self {
        Self {
            project,
            owner: None,
            revised: None,
        }
    }
}

impl Budgets {
    pub(super) fn new(journal: Arc<Journal>, signals: Arc<Signals>, limits: MemoryLimits) -> Self {
        Self {
            journal,
            signals,
            limits,
            evicting: Mutex::default(),
        }
    }

    /// As [`Journal::try_commit`], within the budgets of the call. None, too, if something was
    /// evicted for it.
    pub(super) async fn try_commit(
        &self,
        call: &Call,
        method: &'static str,
        mut plan: Plan,
        scope: Scope<'_>,
        conflicts: &mut Conflicts,
    ) -> Result<Option<Answered>, Error> {
        plan.batch.limits = self.limits(call.principal(), scope);
        let committed = self.journal.try_commit(call, method, plan, conflicts).await;
        let Err(Error::OverBudget(over)) = committed else {
            return committed;
        };
        if self.make_room(&over, scope.revised).await? {
            return Ok(None);
        }
        counter!(MEMORY_REFUSALS, "budget" => over.limit.account.kind()).increment(1);
        Err(Error::OverBudget(over))
    }

    fn limits(&self, caller: &str, scope: Scope<'_>) -> Vec<Limit> {
        let MemoryLimits {
            total,
            project,
            caller: of_caller,
        } = self.limits;
        let limit = |account, bytes: Option<u64>| bytes.map(|bytes| Limit { account, bytes });
        let principal = |name: &str| limit(Account::Principal(name.to_owned()), of_caller);
        let owner = scope.owner.filter(|owner| *owner != caller);
        // The narrowest first: its refusal tells most.
        let mut limits = Vec::with_capacity(4);
        limits.extend(principal(caller));
        limits.extend(owner.and_then(principal));
        limits.extend(limit(Account::Project(scope.project.to_owned()), project));
        limits.extend(limit(Account::Store, total));
        limits
    }

    /// Evicts what may go of an account until a batch fits into its limit, and some more.
    /// Whether it fits now.
    async fn make_room(
        &self,
        over: &OverLimit,
        revised: Option<PipelineId>,
    ) -> Result<bool, Error> {
        let OverLimit { limit, added, .. } = over;
        if *added > limit.bytes {
            return Ok(false);
        }
        let _one_at_a_time = self.evicting.lock().await;
        if self.has_room(over, 0).await? {
            // Another call has made it meanwhile.
            return Ok(true);
        }
        let headroom = limit.bytes / HEADROOM;
        let has_headroom = match revised {
            Some(id) => self.forget_revisions_of(id, over, headroom).await?,
            None => false,
        };
        let has_headroom = has_headroom || self.evict_jobs(over, headroom).await?;
        let has_headroom = has_headroom || self.forget_revisions(over, headroom).await?;
        if !has_headroom {
            let made_before = self.journal.environment().now().checked_sub(ANSWERS_KEPT);
            if let Some(made_before) = made_before {
                self.journal.store().remove_answers(made_before).await?;
            }
        }
        self.has_room(over, 0).await
    }

    /// Whether what a batch adds fits, with so many bytes to spare.
    async fn has_room(&self, over: &OverLimit, spare: u64) -> Result<bool, Error> {
        let OverLimit { limit, added, .. } = over;
        let used = self.journal.store().used(&limit.account).await?;
        Ok(used.saturating_add(*added).saturating_add(spare) <= limit.bytes)
    }

    /// Evicts ended jobs of the account, but none that a client watches or reads a log of.
    async fn evict_jobs(&self, over: &OverLimit, spare: u64) -> Result<bool, Error> {
        let account = &over.limit.account;
        let mut after = None;
        loop {
            let store = self.journal.store();
            let jobs = store.ended_jobs(account, after, PAGE).await?;
            let Some(last) = jobs.last() else {
                return Ok(false);
            };
            after = Some(*last);
            for job in &jobs {
                if self.signals.is_followed(job.id) {
                    continue;
                }
                // A durable store still has it.
                let evicted = if self.journal.store().unload_job(job.id).await? {
                    Ok(())
                } else {
                    self.journal.remove_job(job.id).await
                };
                match evicted {
                    Ok(()) => counter!(MEMORY_EVICTIONS, "what" => "job").increment(1),
                    // Another task was first.
                    Err(CommitError::Conflict) => {}
                    Err(error) => return Conflicts::default().again(error).await.map(|()| false),
                }
                if self.has_room(over, spare).await? {
                    return Ok(true);
                }
            }
            // There may be very many: others on the caller's connection have their turn.
            task::yield_now().await;
        }
    }

    /// Forgets old revisions of all pipelines of the account.
    async fn forget_revisions(&self, over: &OverLimit, spare: u64) -> Result<bool, Error> {
        let account = &over.limit.account;
        let mut after = None;
        loop {
            let store = self.journal.store();
            let pipelines = store.revised_pipelines(account, after, PAGE).await?;
            let Some(last) = pipelines.last() else {
                return Ok(false);
            };
            after = Some(*last);
            for id in pipelines {
                if self.forget_revisions_of(id, over, spare).await? {
                    return Ok(true);
                }
            }
            task::yield_now().await;
        }
    }

    /// Forgets the older half of a pipeline's old revisions, again and again until there is
    /// room or only the newest is left. Those that kept jobs run stay with the jobs.
    async fn forget_revisions_of(
        &self,
        id: PipelineId,
        over: &OverLimit,
        spare: u64,
    ) -> Result<bool, Error> {
        loop {
            let Some(state) = self.journal.store().pipeline(id).await? else {
                return self.has_room(over, spare).await;
            };
            let (oldest, newest) = (state.oldest_revision, state.pipeline.revision);
            if oldest >= newest {
                return self.has_room(over, spare).await;
            }
            let before = newest - (newest - oldest) / 2;
            let forget = PipelineWrite::ForgetRevisions(id, before);
            match self
                .journal
                .commit(Batch::of([Write::Pipeline(forget)]))
                .await
            {
                Ok(()) => {
                    let forgotten = u64::try_from(before - oldest).unwrap_or(0);
                    counter!(MEMORY_EVICTIONS, "what" => "revision").increment(forgotten);
                }
                // It was deleted meanwhile.
                Err(CommitError::Conflict) => {}
                Err(error) => return Conflicts::default().again(error).await.map(|()| false),
            }
            if self.has_room(over, spare).await? {
                return Ok(true);
            }
        }
    }
}
