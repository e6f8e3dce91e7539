use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::SystemTime,
};

use uuid::Uuid;

use crate::{
    domain::FencingToken,
    store::{DueWork, WorkKey, codec::StoredDue},
};

/// Work of one kind.
#[derive(Default)]
pub(super) struct Kind {
    pub(super) rows: BTreeMap<String, Row>,
    groups: HashMap<String, Group>,
    /// When work can be claimed next, with its key: each piece that is in any order, and the
    /// first of each group.
    pub(super) next: BTreeSet<(SystemTime, String)>,
}

pub(super) struct Row {
    pub(super) work: DueWork,
    /// Its place in its group, which no further try moves.
    first_at: SystemTime,
    pub(super) claim: Option<WorkClaim>,
}

#[derive(Clone, Copy)]
pub(super) struct WorkClaim {
    pub(super) token: u64,
    pub(super) owner: Uuid,
    pub(super) until: SystemTime,
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

impl Kind {
    /// Whether it was not there.
    pub(super) fn add(&mut self, work: DueWork) -> bool {
        if self.rows.contains_key(&work.key.key) {
            return false;
        }
        self.put(Row {
            first_at: work.at,
            work,
            claim: None,
        });
        true
    }

    pub(super) fn put(&mut self, row: Row) {
        let key = row.work.key.key.clone();
        if let Some(order_key) = &row.work.order_key {
            let group = self.groups.entry(order_key.clone()).or_default();
            group.in_order.insert((row.first_at, key.clone()));
            if row.claim.is_some() {
                group.claimed = Some(key.clone());
            }
        }
        self.rows.insert(key.clone(), row);
        self.enter(&key);
    }

    /// Answers with the work, if it was there.
    pub(super) fn remove(&mut self, key: &str) -> Option<DueWork> {
        self.leave(key);
        let row = self.rows.remove(key)?;
        if let Some(order_key) = &row.work.order_key {
            if let Some(group) = self.groups.get_mut(order_key) {
                group.in_order.remove(&(row.first_at, key.to_owned()));
                group.let_go(key);
            }
            self.enter_group(order_key);
        }
        Some(row.work)
    }

    pub(super) fn put_off(&mut self, key: &str, at: SystemTime) {
        self.change(key, |row, group| {
            row.work.at = at;
            row.claim = None;
            if let Some(group) = group {
                group.let_go(&row.work.key.key);
            }
        });
    }

    pub(super) fn claim(&mut self, key: &str, claim: WorkClaim) -> Option<DueWork> {
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
    pub(super) fn stored(&self) -> StoredDue {
        let work = self.work.clone();
        let claim = self.claim;
        StoredDue {
            kind: work.key.kind.to_owned(),
            at: work.at,
            key: work.key.key,
            owner: claim
                .map(|claim| claim.owner.to_string())
                .unwrap_or_default(),
            lease_until: claim.map(|claim| claim.until),
            token: FencingToken(claim.map_or(0, |claim| claim.token.cast_signed())),
            attempts: work.attempts,
            order_key: work.order_key.unwrap_or_default(),
            body: work.body,
            first_at: Some(self.first_at),
        }
    }

    pub(super) fn of(stored: StoredDue, name: fn(String) -> &'static str) -> Self {
        let claim = stored.lease_until.map(|until| WorkClaim {
            token: stored.token.0.cast_unsigned(),
            owner: stored.owner.parse().unwrap_or_default(),
            until,
        });
        let key = WorkKey {
            kind: name(stored.kind),
            key: stored.key,
        };
        Self {
            first_at: stored.first_at.unwrap_or(stored.at),
            work: DueWork {
                key,
                at: stored.at,
                order_key: Some(stored.order_key).filter(|order_key| !order_key.is_empty()),
                attempts: stored.attempts,
                body: stored.body,
            },
            claim,
        }
    }

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
