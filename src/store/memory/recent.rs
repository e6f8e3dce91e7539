use std::collections::{HashSet, VecDeque};

use super::super::BatchId;

/// Ids of batches that are kept, to tell what became of one.
const MAX_RECENT: usize = 10_000;

/// The batches that were committed last.
#[derive(Default)]
pub(super) struct RecentBatches {
    ids: HashSet<BatchId>,
    in_order: VecDeque<BatchId>,
}

impl RecentBatches {
    pub(super) fn contains(&self, id: BatchId) -> bool {
        self.ids.contains(&id)
    }

    /// The oldest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = BatchId> {
        self.in_order.iter().copied()
    }

    pub(super) fn keep(&mut self, id: BatchId) {
        if !self.ids.insert(id) {
            return;
        }
        self.in_order.push_back(id);
        if self.in_order.len() > MAX_RECENT
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}
