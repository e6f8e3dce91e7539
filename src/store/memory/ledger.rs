use std::{collections::HashMap, sync::Arc};

use crate::domain::{Job, JobFacts, Pipeline};

use super::{
    super::{Account, Record, RequestKey, Usage},
    weights::stages_weight,
};

/// The accounts that a value counts for besides the whole store; an empty name is none.
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

    pub(super) fn usage(&self) -> Usage {
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

impl Owner<'_> {
    pub(super) fn accounts(&self) -> impl Iterator<Item = Account> {
        let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let project = named(self.project).map(Account::Project);
        let principal = named(self.principal).map(Account::Principal);
        std::iter::once(Account::Store)
            .chain(project)
            .chain(principal)
    }
}
