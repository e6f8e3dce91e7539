use std::collections::{BTreeSet, HashMap};

use crate::domain::{Demand, JobId, Offer};

use super::queue::Place;

/// Queues by the labels that their stages ask for.
#[derive(Default)]
pub(super) struct Queues(HashMap<Demand, BTreeSet<Place>>);

impl Queues {
    /// Whether it is new.
    pub(super) fn insert(&mut self, demand: &Demand, place: Place) -> bool {
        match self.0.get_mut(demand) {
            Some(queue) => queue.insert(place),
            None => {
                let queue = BTreeSet::from([place]);
                self.0.insert(demand.clone(), queue).is_none()
            }
        }
    }

    pub(super) fn remove(&mut self, demand: &Demand, place: Place) -> bool {
        let Some(queue) = self.0.get_mut(demand) else {
            return false;
        };
        let was_there = queue.remove(&place);
        if queue.is_empty() {
            self.0.remove(demand);
        }
        was_there
    }

    /// The first of each queue that the labels open.
    pub(super) fn heads(&self, offer: &Offer) -> impl Iterator<Item = (&Demand, Place)> {
        self.0
            .iter()
            .filter(move |(wanted, _)| offer.meets(wanted))
            .filter_map(|(wanted, queue)| Some((wanted, *queue.first()?)))
    }

    /// The first of each queue.
    pub(super) fn all_heads(&self) -> impl Iterator<Item = &Place> {
        self.0.values().filter_map(BTreeSet::first)
    }

    pub(super) fn first(&self, offer: &Offer) -> Option<(&Demand, Place)> {
        self.heads(offer).min_by_key(|(_, place)| *place)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Demand, Place)> {
        let queues = self.0.iter();
        queues.flat_map(|(labels, queue)| queue.iter().map(move |place| (labels, *place)))
    }

    pub(super) fn take_job(&mut self, job_id: JobId) -> Vec<(Demand, Place)> {
        let places: Vec<(Demand, Place)> = self
            .all()
            .filter(|(_, (_, id, _))| *id == job_id)
            .map(|(labels, place)| (labels.clone(), place))
            .collect();
        for (labels, place) in &places {
            self.remove(labels, *place);
        }
        places
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
