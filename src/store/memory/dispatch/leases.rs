use std::{
    collections::{BTreeSet, HashMap},
    time::SystemTime,
};

use crate::{
    domain::{FencingToken, LeaseId},
    store::{LeaseRow, LeaseState},
};

use super::super::capture::Touched;

/// Leases, with the order in which they are due.
#[derive(Default)]
pub(super) struct Leases {
    rows: HashMap<LeaseId, LeaseRow>,
    due: BTreeSet<(SystemTime, LeaseId)>,
    pub(super) touched: Touched<LeaseId>,
}

impl Leases {
    pub(super) fn get(&self, id: LeaseId) -> Option<&LeaseRow> {
        self.rows.get(&id)
    }

    /// The lease of this id and token.
    pub(super) fn find(&self, id: LeaseId, token: FencingToken) -> Option<&LeaseRow> {
        self.rows.get(&id).filter(|row| row.token == token)
    }

    pub(super) fn put(&mut self, row: LeaseRow) {
        self.touched.note(row.id);
        if let Some(old) = self.rows.insert(row.id, row) {
            self.due.remove(&(old.due(), old.id));
        }
        self.due.insert((row.due(), row.id));
    }

    pub(super) fn remove(&mut self, id: LeaseId) {
        if let Some(row) = self.rows.remove(&id) {
            self.touched.note(id);
            self.due.remove(&(row.due(), id));
        }
    }

    pub(super) fn first_due(&self) -> Option<(SystemTime, LeaseId)> {
        self.due.first().copied()
    }

    /// Those that are due by now, the earliest first.
    pub(super) fn due(&self, now: SystemTime) -> Vec<LeaseRow> {
        let due = self.due.iter().take_while(|(time, _)| *time <= now);
        due.filter_map(|(_, id)| self.rows.get(id))
            .copied()
            .collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &LeaseRow> {
        self.rows.values()
    }
}

/// A lease that is held, as it is once it is void and due.
pub(super) fn voided(row: LeaseRow, now: SystemTime) -> LeaseRow {
    LeaseRow {
        state: LeaseState::Void {
            was_confirmed: row.state == LeaseState::Confirmed,
        },
        expires: row.expires.min(now),
        overran: row.ends_by.is_some_and(|ends_by| ends_by <= now),
        ..row
    }
}
