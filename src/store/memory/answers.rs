use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::super::{KeptAnswer, RequestKey};

/// How long a record is kept at least, however many there are.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);
/// How long a record is valid.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Records kept; beyond it the oldest go first, once they are old enough.
const MAX_ANSWERS: usize = 1_000_000;

/// Records that were removed.
pub(super) type Removed = Vec<(Arc<RequestKey>, KeptAnswer)>;

/// Idempotency records, the oldest of which go first.
#[derive(Default)]
pub(super) struct Answers {
    by_key: HashMap<Arc<RequestKey>, KeptAnswer>,
    in_order: VecDeque<Arc<RequestKey>>,
}

impl Answers {
    /// The record of a key, unless it is too old to be valid.
    pub(super) fn get(&self, key: &RequestKey, now: SystemTime) -> Option<&KeptAnswer> {
        let kept = self.by_key.get(key);
        kept.filter(|kept| kept.is_valid(now))
    }

    /// The oldest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&RequestKey, &KeptAnswer)> {
        let keys = self.in_order.iter();
        keys.filter_map(|key| Some((&**key, self.by_key.get(key)?)))
    }

    /// Keeps a record, and answers with those that had to go.
    pub(super) fn keep(&mut self, key: Arc<RequestKey>, kept: KeptAnswer) -> Removed {
        let now = kept.time;
        let mut removed = self.remove_while(|count, oldest| {
            let age = age(oldest, now);
            age > MAX_AGE || (count >= MAX_ANSWERS && age >= MIN_AGE)
        });
        if let Some(old) = self.by_key.insert(Arc::clone(&key), kept) {
            // Too old to be valid, and not gone yet: the clock went back meanwhile.
            self.in_order.retain(|other| *other != key);
            removed.push((Arc::clone(&key), old));
        }
        self.in_order.push_back(key);
        removed
    }

    /// Removes the records that were made before a time.
    pub(super) fn remove_before(&mut self, time: SystemTime) -> Removed {
        self.remove_while(|_, oldest| oldest.time < time)
    }

    /// Removes the oldest record while `goes`, which gets the count and that record, is true.
    fn remove_while(&mut self, goes: impl Fn(usize, &KeptAnswer) -> bool) -> Removed {
        let mut removed = Removed::new();
        while let Some(key) = self.in_order.front() {
            let oldest = self.by_key.get(key);
            if oldest.is_some_and(|oldest| !goes(self.by_key.len(), oldest)) {
                break;
            }
            removed.extend(self.by_key.remove_entry(&**key));
            self.in_order.pop_front();
        }
        removed
    }
}

impl KeptAnswer {
    /// Whether it is not too old.
    pub(in super::super) fn is_valid(&self, now: SystemTime) -> bool {
        age(self, now) <= MAX_AGE
    }
}

/// A clock that was set back makes nothing older.
fn age(kept: &KeptAnswer, now: SystemTime) -> Duration {
    now.duration_since(kept.time).unwrap_or_default()
}
