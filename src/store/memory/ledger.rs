use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
    time::SystemTime,
};

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::{Event, Job, JobFacts, JobId, Pipeline, PipelineId, weight};

use super::{
    super::{
        Account, Answer, DueWork, EndedJob, KeptAnswer, Record, RequestKey, StoreError, Usage,
        UsageStore,
    },
    MemoryStore,
};

/// Whom a value counts for besides the whole store; an empty name is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner<'a> {
    pub(super) project: &'a str,
    pub(super) principal: &'a str,
}

/// Counts the bytes of what is kept, as it comes and goes.
#[derive(Default)]
pub(super) struct Ledger {
    store: u64,
    projects: HashMap<String, u64>,
    principals: HashMap<String, u64>,
    /// How many of those that are kept hold a value that is shared, by its address: revisions,
    /// held by their pipeline and by the jobs that run them; stages and graphs, held by
    /// revisions. Each weighs once, until its last holder goes.
    holders: HashMap<usize, usize>,
}

impl Ledger {
    pub(super) fn add(&mut self, owner: Owner<'_>, bytes: u64) {
        self.store += bytes;
        add_to(&mut self.projects, owner.project, bytes);
        add_to(&mut self.principals, owner.principal, bytes);
    }

    pub(super) fn subtract(&mut self, owner: Owner<'_>, bytes: u64) {
        self.store = less(self.store, bytes);
        subtract_from(&mut self.projects, owner.project, bytes);
        subtract_from(&mut self.principals, owner.principal, bytes);
    }

    /// One more holder of a revision.
    pub(super) fn hold(&mut self, revision: &Arc<Pipeline>) {
        if !self.hold_shared(revision) {
            return;
        }
        let owner = Owner::of_pipeline(revision);
        self.add(owner, revision.weight());
        if self.hold_shared(&revision.spec.stages) {
            self.add(owner, stages_weight(revision));
        }
        if self.hold_shared(&revision.graph) {
            self.add(owner, revision.graph.weight());
        }
    }

    /// One holder of a revision less. The revision is still there.
    pub(super) fn release(&mut self, revision: &Arc<Pipeline>) {
        if !self.release_shared(revision) {
            return;
        }
        let owner = Owner::of_pipeline(revision);
        self.subtract(owner, revision.weight());
        if self.release_shared(&revision.spec.stages) {
            self.subtract(owner, stages_weight(revision));
        }
        if self.release_shared(&revision.graph) {
            self.subtract(owner, revision.graph.weight());
        }
    }

    pub(super) fn used(&self, account: &Account) -> u64 {
        let known = match account {
            Account::Store => Some(&self.store),
            Account::Project(name) => self.projects.get(name),
            Account::Principal(name) => self.principals.get(name),
        };
        known.copied().unwrap_or(0)
    }

    fn usage(&self) -> Usage {
        let largest = |accounts: &HashMap<String, u64>| accounts.values().max().copied();
        Usage {
            store: self.store,
            largest_project: largest(&self.projects).unwrap_or(0),
            largest_principal: largest(&self.principals).unwrap_or(0),
        }
    }

    /// Whether this is the first holder.
    fn hold_shared<T: ?Sized>(&mut self, shared: &Arc<T>) -> bool {
        let holders = self.holders.entry(address(shared)).or_default();
        *holders += 1;
        *holders == 1
    }

    /// Whether it was the last holder.
    fn release_shared<T: ?Sized>(&mut self, shared: &Arc<T>) -> bool {
        let address = address(shared);
        let Some(holders) = self.holders.get_mut(&address) else {
            debug_assert!(false, "what is released was held");
            return false;
        };
        *holders -= 1;
        let is_last = *holders == 0;
        if is_last {
            self.holders.remove(&address);
        }
        is_last
    }
}

impl<'a> Owner<'a> {
    pub(super) fn of_pipeline(pipeline: &'a Pipeline) -> Self {
        Self {
            project: &pipeline.project,
            principal: &pipeline.creator,
        }
    }

    pub(super) fn of_job(job: &'a Job) -> Self {
        Self {
            project: &job.pipeline.project,
            principal: &job.trigger.principal,
        }
    }

    pub(super) fn of_facts(facts: &'a JobFacts) -> Self {
        Self {
            project: &facts.project,
            principal: "",
        }
    }

    pub(super) fn of_record(record: &'a Record) -> Self {
        Self {
            project: &record.project,
            principal: &record.principal,
        }
    }

    pub(super) fn of_answer(key: &'a RequestKey) -> Self {
        Self {
            project: "",
            principal: &key.principal,
        }
    }

    /// Due work is the store's own.
    pub(super) fn of_work() -> Owner<'static> {
        Owner {
            project: "",
            principal: "",
        }
    }

    /// Whether what this owner has counts for an account.
    pub(super) fn counts_for(&self, account: &Account) -> bool {
        match account {
            Account::Store => true,
            Account::Project(name) => self.project == name,
            Account::Principal(name) => self.principal == name,
        }
    }
}

pub(super) fn stages_weight(pipeline: &Pipeline) -> u64 {
    let stages = pipeline.spec.stages.iter();
    stages.map(|stage| stage.weight()).sum()
}

pub(super) fn events_weight(events: &[Event]) -> u64 {
    events.iter().map(Event::weight).sum()
}

/// A record: its places in the tree of keys and in the one of each index.
pub(super) fn record_weight(record: &Record) -> u64 {
    const ROW: u64 = 256;
    const PLACE: u64 = 96;
    let key = weight::text(&record.key);
    let index = |(_, value): &(&str, String)| PLACE + key + 2 * weight::text(value);
    let indexes: u64 = record.indexes.iter().map(index).sum();
    ROW + 3 * key
        + weight::text(&record.project)
        + weight::text(&record.principal)
        + record.body.len() as u64
        + indexes
}

/// An idempotency record: its place in the map and in the order of age.
pub(super) fn answer_weight(key: &RequestKey, kept: &KeptAnswer) -> u64 {
    const ROW: u64 = 256;
    let named = match &kept.answer {
        Answer::Project(name, _) => weight::text(name),
        Answer::Nothing | Answer::Pipeline(..) | Answer::Job(..) => 0,
    };
    ROW + weight::text(&key.principal) + weight::text(&key.method) + named
}

/// Due work: its places in the tree of keys, in the order of times and in its group.
pub(super) fn work_weight(work: &DueWork) -> u64 {
    const ROW: u64 = 384;
    let order_key = work.order_key.as_deref().map_or(0, weight::text);
    ROW + 4 * weight::text(&work.key.key) + 2 * order_key + work.body.len() as u64
}

fn address<T: ?Sized>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared).cast::<()>().addr()
}

fn add_to(accounts: &mut HashMap<String, u64>, name: &str, bytes: u64) {
    if name.is_empty() {
        return;
    }
    match accounts.get_mut(name) {
        Some(used) => *used += bytes,
        None => {
            accounts.insert(name.to_owned(), bytes);
        }
    }
}

fn subtract_from(accounts: &mut HashMap<String, u64>, name: &str, bytes: u64) {
    if name.is_empty() {
        return;
    }
    if let Some(used) = accounts.get_mut(name) {
        *used = less(*used, bytes);
        if *used == 0 {
            accounts.remove(name);
        }
    }
}

fn less(used: u64, bytes: u64) -> u64 {
    debug_assert!(used >= bytes, "what is subtracted was added");
    used.saturating_sub(bytes)
}

/// What may be evicted, by account.
#[derive(Default)]
pub(super) struct Evictable {
    by_account: HashMap<Account, Candidates>,
}

#[derive(Default)]
struct Candidates {
    jobs: BTreeSet<EndedJob>,
    revised: BTreeSet<PipelineId>,
}

impl Evictable {
    pub(super) fn note_ended(&mut self, job: &Job, end_time: SystemTime) {
        let ended = ended_job(job, end_time);
        self.change(Owner::of_job(job), |candidates| {
            candidates.jobs.insert(ended);
        });
    }

    pub(super) fn forget_job(&mut self, job: &Job, end_time: SystemTime) {
        let ended = ended_job(job, end_time);
        self.change(Owner::of_job(job), |candidates| {
            candidates.jobs.remove(&ended);
        });
    }

    /// Notes whether a pipeline has older revisions.
    pub(super) fn note_revisions(&mut self, pipeline: &Pipeline, has_older: bool) {
        self.change(Owner::of_pipeline(pipeline), |candidates| {
            if has_older {
                candidates.revised.insert(pipeline.id);
            } else {
                candidates.revised.remove(&pipeline.id);
            }
        });
    }

    /// As many jobs as there are beyond `keep`, the oldest first, but none that ran a stage and
    /// ended at this time or later.
    pub(super) fn expired_jobs(&self, keep: usize, ended_before: SystemTime) -> Vec<JobId> {
        let Some(Candidates { jobs, .. }) = self.by_account.get(&Account::Store) else {
            return Vec::new();
        };
        let first_that_ran = EndedJob {
            has_run: true,
            end_time: SystemTime::UNIX_EPOCH,
            id: JobId(Uuid::nil()),
        };
        let mut never_ran = jobs.range(..first_that_ran).peekable();
        let ran = jobs.range(first_that_ran..);
        let mut ran = ran.take_while(|job| job.end_time < ended_before).peekable();
        let oldest = std::iter::from_fn(|| match (never_ran.peek(), ran.peek()) {
            (Some(waited), Some(other)) if other.end_time < waited.end_time => ran.next(),
            (Some(_), _) => never_ran.next(),
            (None, _) => ran.next(),
        });
        let surplus = jobs.len().saturating_sub(keep);
        oldest.take(surplus).map(|job| job.id).collect()
    }

    fn change(&mut self, owner: Owner<'_>, change: impl Fn(&mut Candidates)) {
        for account in owner.accounts() {
            let candidates = self.by_account.entry(account.clone()).or_default();
            change(candidates);
            if candidates.jobs.is_empty() && candidates.revised.is_empty() {
                self.by_account.remove(&account);
            }
        }
    }
}

impl Owner<'_> {
    fn accounts(&self) -> impl Iterator<Item = Account> {
        let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let project = named(self.project).map(Account::Project);
        let principal = named(self.principal).map(Account::Principal);
        std::iter::once(Account::Store)
            .chain(project)
            .chain(principal)
    }
}

fn ended_job(job: &Job, end_time: SystemTime) -> EndedJob {
    EndedJob {
        has_run: job.start_time.is_some(),
        end_time,
        id: job.id,
    }
}

/// The part of a set that is behind a value.
fn behind<T: Ord + Copy>(set: &BTreeSet<T>, after: Option<T>, limit: usize) -> Vec<T> {
    let first = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = set.range((first, Bound::Unbounded));
    range.take(limit).copied().collect()
}

#[async_trait]
impl UsageStore for MemoryStore {
    async fn used(&self, account: &Account) -> Result<u64, StoreError> {
        Ok(self.ledger.lock().used(account))
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        Ok(self.ledger.lock().usage())
    }

    async fn ended_jobs(
        &self,
        account: &Account,
        after: Option<EndedJob>,
        limit: usize,
    ) -> Result<Vec<EndedJob>, StoreError> {
        let evictable = self.evictable.read();
        let candidates = evictable.by_account.get(account);
        let jobs = candidates.map(|candidates| behind(&candidates.jobs, after, limit));
        Ok(jobs.unwrap_or_default())
    }

    async fn revised_pipelines(
        &self,
        account: &Account,
        after: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<PipelineId>, StoreError> {
        let evictable = self.evictable.read();
        let candidates = evictable.by_account.get(account);
        let revised = candidates.map(|candidates| behind(&candidates.revised, after, limit));
        Ok(revised.unwrap_or_default())
    }

    async fn remove_answers(&self, made_before: SystemTime) -> Result<usize, StoreError> {
        let removed = self.answers.lock().remove_before(made_before);
        self.subtract_answers(&removed);
        Ok(removed.len())
    }
}

impl MemoryStore {
    pub(super) fn subtract_answers(&self, removed: &[(Arc<RequestKey>, KeptAnswer)]) {
        if removed.is_empty() {
            return;
        }
        let mut ledger = self.ledger.lock();
        for (key, kept) in removed {
            ledger.subtract(Owner::of_answer(key), answer_weight(key, kept));
        }
    }
}
