use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime},
};

use super::super::{KeptAnswer, RequestKey};

/// How long an answer is kept at least, however many there are.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);
/// How long an answer is kept at most.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Answers kept; beyond it the oldest go first, once they are old enough.
const MAX_ANSWERS: usize = 1_000_000;

/// First answers to request ids, the oldest of which go first.
#[derive(Default)]
pub(super) struct Answers {
    by_key: HashMap<RequestKey, KeptAnswer>,
    in_order: VecDeque<RequestKey>,
}

impl Answers {
    pub(super) fn get(&self, key: &RequestKey) -> Option<&KeptAnswer> {
        self.by_key.get(key)
    }

    /// The oldest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&RequestKey, &KeptAnswer)> {
        let keys = self.in_order.iter();
        keys.filter_map(|key| Some((key, self.by_key.get(key)?)))
    }

    pub(super) fn keep(&mut self, key: RequestKey, kept: KeptAnswer) {
        self.let_go(kept.time);
        self.in_order.push_back(key.clone());
        self.by_key.insert(key, kept);
    }

    fn let_go(&mut self, now: SystemTime) {
        while let Some(oldest) = self.in_order.front().and_then(|key| self.by_key.get(key)) {
            // A clock that was set back makes nothing older.
            let age = now.duration_since(oldest.time).unwrap_or_default();
            let surplus = self.in_order.len() >= MAX_ANSWERS && age >= MIN_AGE;
            if !surplus && age <= MAX_AGE {
                return;
            }
            if let Some(key) = self.in_order.pop_front() {
                self.by_key.remove(&key);
            }
        }
    }
}
