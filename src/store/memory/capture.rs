use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::store::RowChange;

/// Collects the row changes of each operation, if the rows are made durable elsewhere.
#[derive(Default)]
pub(super) struct Capture(Option<Mutex<Vec<RowChange>>>);

impl Capture {
    pub(super) fn on() -> Self {
        Self(Some(Mutex::default()))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn note(&self, change: impl FnOnce() -> RowChange) {
        if let Some(changes) = &self.0 {
            changes.lock().push(change());
        }
    }

    /// The changes since the previous call, in order.
    pub(super) fn take(&self) -> Vec<RowChange> {
        let changes = self.0.as_ref();
        changes.map_or_else(Vec::new, |changes| std::mem::take(&mut *changes.lock()))
    }
}

/// The keys of rows that have changed, if their changes are captured.
pub(super) struct Touched<Key>(Option<BTreeSet<Key>>);

impl<Key> Default for Touched<Key> {
    fn default() -> Self {
        Self(None)
    }
}

impl<Key: Ord> Touched<Key> {
    pub(super) fn on() -> Self {
        Self(Some(BTreeSet::new()))
    }

    pub(super) fn note(&mut self, key: Key) {
        if let Some(keys) = &mut self.0 {
            keys.insert(key);
        }
    }

    /// The keys since the previous call.
    pub(super) fn take(&mut self) -> BTreeSet<Key> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
