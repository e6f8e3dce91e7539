use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::SystemTime,
};

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    super::{ClaimedWork, CommitError, DueStore, DueWork, DueWrite, StoreError, WorkKey},
    MemoryStore,
};

/// Work that is due at a time, by its kind.
#[derive(Default)]
pub(super) struct DueQueue {
    kinds: HashMap<&'static str, Kind>,
    /// Token of the claim made last.
    last_token: u64,
}

#[derive(Default)]
struct Kind {
    rows: BTreeMap<String, Row>,
    groups: HashMap<String, Group>,
    /// When work can be claimed next, with its key: each piece that is in any order, and the
    /// first of each group.
    next: BTreeSet<(SystemTime, String)>,
}

struct Row {
    work: DueWork,
    /// Its place in its group, which no further try moves.
    first_at: SystemTime,
    claim: Option<WorkClaim>,
}

#[derive(Clone, Copy)]
struct WorkClaim {
    token: u64,
    owner: Uuid,
    until: SystemTime,
}

/// Work with the same order key.
#[derive(Default)]
struct Group {
    in_order: BTreeSet<(SystemTime, String)>,
    /// The one that was claimed last, if it has not been done or put off since.
    claimed: Option<String>,
    /// What is in `next` for the group.
    next: Option<(SystemTime, String)>,
}

#[async_trait]
impl DueStore for MemoryStore {
    async fn claim_due(
        &self,
        kind: &'static str,
        owner: Uuid,
        now: SystemTime,
        claimed_until: SystemTime,
        limit: usize,
    ) -> Result<Vec<ClaimedWork>, StoreError> {
        let mut due = self.due.lock();
        let mut claimed = Vec::new();
        while claimed.len() < limit
            && let Some(key) = due.first_due(kind, now)
        {
            claimed.extend(due.claim(kind, &key, owner, claimed_until));
        }
        Ok(claimed)
    }

    async fn next_due(&self, kind: &'static str) -> Result<Option<SystemTime>, StoreError> {
        let due = self.due.lock();
        let next = due.kinds.get(kind).and_then(|kind| kind.next.first());
        Ok(next.map(|(time, _)| *time))
    }

    async fn count_due(&self, kind: &'static str) -> Result<usize, StoreError> {
        let due = self.due.lock();
        Ok(due.kinds.get(kind).map_or(0, |kind| kind.rows.len()))
    }
}

impl DueQueue {
    pub(super) fn check(&self, write: &DueWrite) -> Result<(), CommitError> {
        let (key, token) = match write {
            DueWrite::Add(_) | DueWrite::Cancel(_) => return Ok(()),
            DueWrite::Done(key, token) | DueWrite::Again(key, token, _) => (key, *token),
        };
        let row = self
            .kinds
            .get(key.kind)
            .and_then(|kind| kind.rows.get(&key.key));
        let claim = row.and_then(|row| row.claim);
        if claim.is_some_and(|claim| claim.token == token) {
            Ok(())
        } else {
            Err(CommitError::Conflict)
        }
    }

    pub(super) fn write(&mut self, write: DueWrite) {
        let kind = self.kinds.entry(write.key().kind).or_default();
        match write {
            DueWrite::Add(work) => kind.add(work),
            DueWrite::Done(WorkKey { key, .. }, _) | DueWrite::Cancel(WorkKey { key, .. }) => {
                kind.remove(&key);
            }
            DueWrite::Again(WorkKey { key, .. }, _, at) => kind.put_off(&key, at),
        }
    }

    fn first_due(&self, kind: &str, now: SystemTime) -> Option<String> {
        let (time, key) = self.kinds.get(kind)?.next.first()?;
        (*time <= now).then(|| key.clone())
    }

    fn claim(
        &mut self,
        kind: &str,
        key: &str,
        owner: Uuid,
        until: SystemTime,
    ) -> Option<ClaimedWork> {
        self.last_token += 1;
        let token = self.last_token;
        let claim = WorkClaim {
            token,
            owner,
            until,
        };
        let work = self.kinds.get_mut(kind)?.claim(key, claim)?;
        Some(ClaimedWork { work, token })
    }
}

impl Kind {
    fn add(&mut self, work: DueWork) {
        if self.rows.contains_key(&work.key.key) {
            return;
        }
        let (key, first_at) = (work.key.key.clone(), work.at);
        if let Some(order_key) = &work.order_key {
            let group = self.groups.entry(order_key.clone()).or_default();
            group.in_order.insert((first_at, key.clone()));
        }
        let claim = None;
        let row = Row {
            work,
            first_at,
            claim,
        };
        self.rows.insert(key.clone(), row);
        self.enter(&key);
    }

    fn remove(&mut self, key: &str) {
        self.leave(key);
        let Some(row) = self.rows.remove(key) else {
            return;
        };
        let Some(order_key) = row.work.order_key else {
            return;
        };
        if let Some(group) = self.groups.get_mut(&order_key) {
            group.in_order.remove(&(row.first_at, key.to_owned()));
            group.let_go(key);
        }
        self.enter_group(&order_key);
    }

    fn put_off(&mut self, key: &str, at: SystemTime) {
        self.change(key, |row, group| {
            row.work.at = at;
            row.claim = None;
            if let Some(group) = group {
                group.let_go(&row.work.key.key);
            }
        });
    }

    fn claim(&mut self, key: &str, claim: WorkClaim) -> Option<DueWork> {
        self.change(key, |row, group| {
            row.claim = Some(claim);
            row.work.attempts = row.work.attempts.saturating_add(1);
            if let Some(group) = group {
                group.claimed = Some(row.work.key.key.clone());
            }
        });
        self.rows.get(key).map(|row| row.work.clone())
    }

    fn change(&mut self, key: &str, change: impl FnOnce(&mut Row, Option<&mut Group>)) {
        self.leave(key);
        if let Some(row) = self.rows.get_mut(key) {
            let order_key = row.work.order_key.as_ref();
            let group = order_key.and_then(|order_key| self.groups.get_mut(order_key));
            change(row, group);
        }
        self.enter(key);
    }

    /// Takes what stands for a piece of work out of `next`, before it changes.
    fn leave(&mut self, key: &str) {
        let Some(row) = self.rows.get(key) else {
            return;
        };
        match &row.work.order_key {
            None => {
                self.next.remove(&(row.next(), key.to_owned()));
            }
            Some(order_key) => {
                let group = self.groups.get_mut(order_key);
                if let Some(next) = group.and_then(|group| group.next.take()) {
                    self.next.remove(&next);
                }
            }
        }
    }

    /// Puts what stands for a piece of work into `next`, after it changed.
    fn enter(&mut self, key: &str) {
        let Some(row) = self.rows.get(key) else {
            return;
        };
        match row.work.order_key.clone() {
            None => {
                self.next.insert((row.next(), key.to_owned()));
            }
            Some(order_key) => self.enter_group(&order_key),
        }
    }

    fn enter_group(&mut self, order_key: &str) {
        let Some(group) = self.groups.get_mut(order_key) else {
            return;
        };
        if let Some(next) = group.next.take() {
            self.next.remove(&next);
        }
        let Some((_, first)) = group.in_order.first() else {
            self.groups.remove(order_key);
            return;
        };
        // While another one is claimed, the first waits for the end of that claim.
        let claimed = group.claimed.as_ref().and_then(|key| self.rows.get(key));
        let times = [self.rows.get(first), claimed];
        let time = times.into_iter().flatten().map(Row::next).max();
        if let Some(time) = time {
            let next = (time, first.clone());
            group.next = Some(next.clone());
            self.next.insert(next);
        }
    }
}

impl Row {
    /// When it can be claimed.
    fn next(&self) -> SystemTime {
        self.claim.map_or(self.work.at, |claim| claim.until)
    }
}

impl Group {
    fn let_go(&mut self, key: &str) {
        if self.claimed.as_deref() == Some(key) {
            self.claimed = None;
        }
    }
}
