use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map},
    ops::Bound,
    sync::Arc,
    time::SystemTime,
};

use crate::{
    domain::{Demand, FencingToken, LeaseId, Offer, RunnerId, SessionId, has_labels},
    store::RunnerRow,
};

use super::super::capture::Touched;

/// Runners, also by what they offer: many offer the same, and only some may have a stage.
#[derive(Default)]
pub(super) struct Runners {
    by_id: BTreeMap<RunnerId, Runner>,
    with_offer: HashMap<Arc<Offer>, BTreeSet<RunnerId>>,
    pub(super) touched: Touched<RunnerId>,
}

pub(super) struct Runner {
    pub(super) row: Arc<RunnerRow>,
    /// Its leases that take a slot.
    pub(super) held: BTreeMap<FencingToken, LeaseId>,
}

impl Runners {
    pub(super) fn get(&self, id: RunnerId) -> Option<&Runner> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: RunnerId) -> Option<&mut Runner> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn all(&self) -> btree_map::Values<'_, RunnerId, Runner> {
        self.by_id.values()
    }

    /// Notes that a runner was heard of, which also means that it has not left.
    pub(super) fn heard_of(&mut self, id: RunnerId, now: SystemTime) {
        let Some(runner) = self.by_id.get_mut(&id) else {
            return;
        };
        if runner.row.last_seen < now || runner.row.has_left {
            // Copied only while a reader holds the row.
            let row = Arc::make_mut(&mut runner.row);
            row.last_seen = row.last_seen.max(now);
            row.has_left = false;
            self.touched.note(id);
        }
    }

    pub(super) fn leave(&mut self, id: RunnerId) {
        self.change(id, |row| row.has_left = true);
    }

    /// False if there is no such runner.
    pub(super) fn set_draining(&mut self, id: RunnerId, is_draining: bool) -> bool {
        self.change(id, |row| row.is_draining = is_draining)
    }

    fn change(&mut self, id: RunnerId, change: impl FnOnce(&mut RunnerRow)) -> bool {
        let Some(runner) = self.by_id.get_mut(&id) else {
            return false;
        };
        change(Arc::make_mut(&mut runner.row));
        self.touched.note(id);
        true
    }

    pub(super) fn after(&self, id: Option<RunnerId>) -> impl Iterator<Item = &Runner> {
        let first = id.map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.by_id.range((first, Bound::Unbounded));
        after.map(|(_, runner)| runner)
    }

    /// Takes a runner in that holds nothing, in the place of an earlier one of its id.
    pub(super) fn insert(&mut self, row: RunnerRow) {
        self.remove(row.id);
        self.touched.note(row.id);
        let offer = Arc::clone(&row.registration.offer);
        self.with_offer.entry(offer).or_default().insert(row.id);
        let (id, held) = (row.id, BTreeMap::new());
        let row = Arc::new(row);
        self.by_id.insert(id, Runner { row, held });
    }

    pub(super) fn remove(&mut self, id: RunnerId) {
        let Some(runner) = self.by_id.remove(&id) else {
            return;
        };
        self.touched.note(id);
        let offer = &runner.row.registration.offer;
        if let Some(ids) = self.with_offer.get_mut(offer) {
            ids.remove(&id);
            if ids.is_empty() {
                self.with_offer.remove(offer);
            }
        }
    }

    /// Those with the labels of a demand, and whether each can do its action.
    pub(super) fn with_labels(&self, demand: &Demand) -> impl Iterator<Item = (&Runner, bool)> {
        let groups = self.with_offer.iter();
        let fitting = groups.filter(|(offer, _)| has_labels(&offer.labels, &demand.labels));
        fitting.flat_map(|(offer, ids)| {
            let is_capable = offer.can_do(demand);
            let runners = ids.iter().filter_map(|id| self.by_id.get(id));
            runners.map(move |runner| (runner, is_capable))
        })
    }
}

impl Runner {
    pub(super) fn has_room(&self) -> bool {
        self.held.len() < self.row.registration.capacity
    }

    pub(super) fn is_session(&self, session_id: SessionId) -> bool {
        self.row.registration.session_id == session_id
    }

    /// Whether this principal registered it.
    pub(super) fn is_of(&self, owner: &str) -> bool {
        self.row.registration.owner == owner
    }
}
