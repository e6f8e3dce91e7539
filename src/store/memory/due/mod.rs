mod kind;

use std::{collections::HashMap, time::SystemTime};

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    super::{
        ClaimedWork, CommitError, DueStore, DueWrite, RowChange, StoreError, WorkKey,
        codec::StoredDue,
    },
    MemoryStore,
    weights::work_weight,
};
use kind::{Kind, Row, WorkClaim};

/// Work that is due at a time, by its kind.
#[derive(Default)]
pub(super) struct DueQueue {
    kinds: HashMap<&'static str, Kind>,
    /// Token of the claim made last.
    last_token: u64,
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
            let Some(work) = due.claim(kind, &key, owner, claimed_until) else {
                break;
            };
            self.note_claim(&due, &work);
            claimed.push(work);
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

impl MemoryStore {
    fn note_claim(&self, due: &DueQueue, claimed: &ClaimedWork) {
        if !self.capture.is_on() {
            return;
        }
        if let Some(row) = due.row(&claimed.work.key) {
            self.capture.note(|| RowChange::PutWork(row));
        }
        self.capture.note(|| RowChange::PutLastClaim(claimed.token));
    }
}

impl DueQueue {
    /// A row, as it is stored.
    pub(super) fn row(&self, key: &WorkKey) -> Option<StoredDue> {
        let row = self.kinds.get(key.kind)?.rows.get(&key.key);
        row.map(Row::stored)
    }

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

    /// Answers with the bytes that it added and removed.
    pub(super) fn write(&mut self, write: DueWrite) -> (u64, u64) {
        let kind = self.kinds.entry(write.key().kind).or_default();
        match write {
            DueWrite::Add(work) => {
                let weight = work_weight(&work);
                let is_new = kind.add(work);
                (if is_new { weight } else { 0 }, 0)
            }
            DueWrite::Done(WorkKey { key, .. }, _) | DueWrite::Cancel(WorkKey { key, .. }) => {
                let removed = kind.remove(&key);
                (0, removed.as_ref().map_or(0, work_weight))
            }
            DueWrite::Again(WorkKey { key, .. }, _, at) => {
                kind.put_off(&key, at);
                (0, 0)
            }
        }
    }

    /// All rows, in the order of their claims.
    pub(super) fn rows(&self) -> Vec<StoredDue> {
        let rows = self.kinds.values().flat_map(|kind| kind.rows.values());
        let mut rows: Vec<StoredDue> = rows.map(Row::stored).collect();
        rows.sort_by_key(|row| row.token);
        rows
    }

    pub(super) fn last_token(&self) -> u64 {
        self.last_token
    }

    pub(super) fn set_last_token(&mut self, token: u64) {
        self.last_token = token;
    }

    /// Puts a row back, after those that were claimed before it. `name` is what the name of a
    /// kind is in the program. Answers with its bytes.
    pub(super) fn restore(&mut self, stored: StoredDue, name: fn(String) -> &'static str) -> u64 {
        let row = Row::of(stored, name);
        let weight = work_weight(&row.work);
        self.kinds.entry(row.work.key.kind).or_default().put(row);
        weight
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
