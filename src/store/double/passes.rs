//! Every method of the other traits: `before`, the call to the store, and `after`.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        Bindings, Demand, Event, FencingToken, Job, JobFacts, JobId, LeaseId, LostWorkspace,
        PendingReason, Pipeline, PipelineId, RunnerId, SessionId,
    },
    store::{
        Account, Acquisition, ClaimedWork, DueStore, EndedJob, FactsFilter, JobFilter, JobStore,
        KnownRunner, LeaseRequest, LeaseRow, LeaseStore, PipelineFilter, PipelineState,
        PipelineStore, Presence, ReadyStage, Record, RecordQuery, RecordStore, RunnerRow,
        StoreError, Usage, UsageStore,
    },
};

use super::Double;

/// A trait of the store, one line per method. `by` names the function that replaces
/// the store's.
macro_rules! passes {
    ($of:ident; $($name:ident($($arg:ident: $type:ty),*) -> $result:ty $(, by $by:ident)?;)+) => {
        #[async_trait]
        impl $of for Double {
            $(
                async fn $name(&self, $($arg: $type),*) -> Result<$result, StoreError> {
                    self.before(stringify!($name)).await?;
                    let result = passes!(@ self, $name, [$($arg),*] $(, $by)?).await;
                    self.after().await;
                    result
                }
            )+
        }
    };
    (@ $self:ident, $name:ident, [$($arg:ident),*]) => { $self.inner.$name($($arg),*) };
    (@ $self:ident, $name:ident, [$($arg:ident),*], $by:ident) => { $self.$by($($arg),*) };
}

passes! { PipelineStore;
    pipeline(id: PipelineId) -> Option<PipelineState>, by found;
    active_jobs(id: PipelineId) -> Vec<JobId>;
    revision(id: PipelineId, revision: i64) -> Option<Arc<Pipeline>>;
    list_pipelines(filter: &PipelineFilter, before: Option<PipelineId>, limit: usize)
        -> Vec<Arc<Pipeline>>;
    pipelines_with_held_jobs() -> Vec<PipelineId>, by held;
}

passes! { JobStore;
    job(id: JobId) -> Option<Arc<Job>>;
    events(id: JobId, after: i64) -> Option<Vec<Event>>;
    list_jobs(filter: &JobFilter, before: Option<JobId>, limit: usize) -> Vec<Arc<Job>>;
    expired_jobs(keep: usize, ended_before: SystemTime) -> Vec<JobId>;
    facts(filter: &FactsFilter) -> Vec<Arc<JobFacts>>;
}

passes! { LeaseStore;
    register(runner: RunnerRow, now: SystemTime) -> bool;
    runner(id: RunnerId) -> Option<KnownRunner>;
    list_runners(after: Option<RunnerId>, limit: usize) -> Vec<KnownRunner>;
    count_runners() -> usize;
    set_draining(id: RunnerId, is_draining: bool) -> bool;
    seen(id: RunnerId, session_id: SessionId, owner: &str, now: SystemTime) -> bool;
    leave(id: RunnerId, session_id: SessionId, owner: &str, now: SystemTime) -> bool;
    forget_runners(seen_before: SystemTime, presence: Presence<'_>) -> usize;
    offer(request: LeaseRequest) -> Acquisition, by offered;
    live_lease(id: LeaseId, token: FencingToken, owner: &str, now: SystemTime)
        -> Option<LeaseRow>, by live;
    lease(id: LeaseId, token: FencingToken, owner: &str) -> Option<LeaseRow>;
    renew(id: LeaseId, token: FencingToken, now: SystemTime, expires: SystemTime) -> bool;
    due_leases(now: SystemTime) -> Vec<LeaseRow>, by due;
    next_due_lease() -> Option<SystemTime>;
    release(id: LeaseId, token: FencingToken) -> ();
    unbind(job_id: JobId, runner_id: RunnerId) -> ();
    next_token() -> FencingToken;
    bindings(job_id: JobId) -> Bindings;
    bound_jobs(runner_id: RunnerId) -> Vec<JobId>;
    lost_workspaces(job_id: JobId) -> Vec<LostWorkspace>;
    gone_jobs(runner_id: RunnerId, held: &[JobId]) -> Vec<JobId>;
    waits_for(job_id: JobId, demand: &Demand, presence: Presence<'_>) -> PendingReason;
    silent_runners(presence: Presence<'_>) -> Vec<RunnerId>;
    next_silence(presence: Presence<'_>) -> Option<SystemTime>;
    ready_stages() -> usize;
    head_of_queue() -> Option<ReadyStage>;
    take_over(now: SystemTime, expires: SystemTime) -> Vec<RunnerId>;
}

passes! { RecordStore;
    record(collection: &'static str, key: &str) -> Option<Record>;
    record_version(collection: &'static str, key: &str) -> u64;
    records(query: &RecordQuery) -> Vec<Record>;
    remove_expired_records(now: SystemTime) -> usize;
}

passes! { UsageStore;
    used(account: &Account) -> u64;
    usage() -> Usage;
    ended_jobs(account: &Account, after: Option<EndedJob>, limit: usize) -> Vec<EndedJob>;
    revised_pipelines(account: &Account, after: Option<PipelineId>, limit: usize)
        -> Vec<PipelineId>;
    remove_answers(made_before: SystemTime) -> usize;
    unload_job(id: JobId) -> bool;
    unload_before(time: SystemTime) -> usize;
}

passes! { DueStore;
    claim_due(kind: &'static str, owner: Uuid, now: SystemTime, claimed_until: SystemTime,
        limit: usize) -> Vec<ClaimedWork>;
    next_due(kind: &'static str) -> Option<SystemTime>;
    count_due(kind: &'static str) -> usize;
}
