use std::{
    collections::{HashMap, hash_map},
    time::{Duration, Instant},
};

use parking_lot::MutexGuard;

use crate::store::{RowChange, StoreError, StoreErrorKind};

use super::{
    Shared, Sink, SinkError,
    journal::{Entry, Journal},
    load,
};

/// Entries in one transaction.
const MAX_GROUP: usize = 512;
/// How long lazy changes wait for an entry to be written with.
const LAZY: Duration = Duration::from_secs(5);
/// Time between two rounds of maintenance.
const MAINTENANCE: Duration = Duration::from_secs(10 * 60);

/// What is written by one transaction.
struct Group {
    entries: Vec<Entry>,
    rows: Vec<RowChange>,
}

impl Shared {
    /// Writes groups until the store is closed and everything is written.
    pub(super) fn write_until_closed(&self, sink: &mut dyn Sink) {
        let mut maintenance = Instant::now() + MAINTENANCE;
        while let Some(group) = self.next_group(sink, &mut maintenance) {
            if !self.write(sink, group) {
                return;
            }
        }
    }

    /// Waits for something to write; none if the store is closed.
    fn next_group(&self, sink: &mut dyn Sink, maintenance: &mut Instant) -> Option<Group> {
        let mut journal = self.journal.lock();
        loop {
            if !journal.entries.is_empty() {
                return Some(Group::of_entries(&mut journal));
            }
            if journal.closed.is_some() {
                return Some(Group::of_lazy(&mut journal)).filter(|group| !group.rows.is_empty());
            }
            let timed_out = self.more.wait_for(&mut journal, LAZY).timed_out();
            if !timed_out {
                continue;
            }
            if journal.has_lazy() {
                return Some(Group::of_lazy(&mut journal));
            }
            if *maintenance <= Instant::now() {
                let more = MutexGuard::unlocked(&mut journal, || sink.maintain());
                let pause = match more {
                    Ok(true) => Duration::ZERO,
                    Ok(false) => MAINTENANCE,
                    Err(error) => {
                        tracing::warn!(%error, "old rows could not be removed");
                        MAINTENANCE
                    }
                };
                *maintenance = Instant::now() + pause;
            }
        }
    }

    /// False if the store has failed.
    fn write(&self, sink: &mut dyn Sink, group: Group) -> bool {
        match sink.write(&group.rows) {
            Ok(()) => {
                self.settle(group.entries);
                true
            }
            Err(SinkError::Full(message)) => {
                tracing::error!(%message, "the disk is full: writes are refused");
                *self.full_since.lock() = Some(Instant::now());
                self.roll_back(group.entries, StoreError::full(message))
            }
            Err(SinkError::Fatal(source)) => {
                tracing::error!(error = %source, "a write failed: the service must end");
                let error = StoreError {
                    message: format!("a write failed: {source}"),
                    kind: StoreErrorKind::Permanent,
                    source: Some(source.into()),
                };
                self.fail(group.entries, error);
                false
            }
        }
    }

    /// Notifies and acknowledges what is durable now.
    fn settle(&self, entries: Vec<Entry>) {
        let count = entries.len() as u64;
        for entry in &entries {
            self.notify(&entry.committed);
        }
        self.progress
            .send_modify(|progress| progress.settled += count);
        for entry in entries {
            // The caller may have gone.
            let _ = entry.done.send(Ok(()));
        }
    }

    /// Refuses everything that is not durable, and loads the live store again as it was
    /// without it. False if that fails.
    fn roll_back(&self, entries: Vec<Entry>, error: StoreError) -> bool {
        let mut journal = self.journal.lock();
        let mut refused = entries;
        refused.append(&mut journal.entries);
        // When runners were seen, and the times of their leases, go on as they were.
        let lazy = journal.take_lazy();
        match load(&*self.archive, &self.heard) {
            Ok(live) => {
                live.carry_over(&self.live());
                live.take_changes();
                self.live.store(live.into());
                drop(lazy);
                self.refuse(refused, &error);
                true
            }
            Err(failed) => {
                journal.closed = Some(failed.clone());
                drop(journal);
                self.refuse(refused, &failed);
                self.failed.cancel();
                false
            }
        }
    }

    /// Nothing is acknowledged from now on.
    fn fail(&self, entries: Vec<Entry>, error: StoreError) {
        let mut journal = self.journal.lock();
        let mut refused = entries;
        refused.append(&mut journal.entries);
        journal.closed = Some(error.clone());
        drop(journal);
        self.refuse(refused, &error);
        self.failed.cancel();
    }

    fn refuse(&self, entries: Vec<Entry>, error: &StoreError) {
        let count = entries.len() as u64;
        self.progress.send_modify(|progress| {
            progress.settled += count;
            progress.failures += 1;
        });
        for entry in entries {
            let _ = entry.done.send(Err(error.clone()));
        }
    }
}

impl Group {
    fn of_entries(journal: &mut Journal) -> Self {
        let count = journal.entries.len().min(MAX_GROUP);
        let mut entries: Vec<Entry> = journal.entries.drain(..count).collect();
        let rows = entries
            .iter_mut()
            .flat_map(|entry| std::mem::take(&mut entry.rows));
        let rows = coalesce(rows);
        Self { entries, rows }
    }

    fn of_lazy(journal: &mut Journal) -> Self {
        Self {
            entries: Vec::new(),
            rows: journal.take_lazy(),
        }
    }
}

/// Every trigger of a pipeline puts its head: only the last one of a group is written, where the
/// first one was.
fn coalesce(changes: impl Iterator<Item = RowChange>) -> Vec<RowChange> {
    let mut rows = Vec::new();
    let mut heads = HashMap::new();
    for change in changes {
        if let RowChange::PutHead(head) = &change {
            match heads.entry(head.id) {
                hash_map::Entry::Occupied(position) => {
                    rows[*position.get()] = change;
                    continue;
                }
                hash_map::Entry::Vacant(position) => {
                    position.insert(rows.len());
                }
            }
        }
        rows.push(change);
    }
    rows
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use crate::{
        domain::PipelineId,
        store::{BatchId, codec::PipelineHead},
    };

    use super::*;

    fn head(pipeline: u128, version: u64) -> RowChange {
        RowChange::PutHead(PipelineHead {
            id: PipelineId(Uuid::from_u128(pipeline)),
            newest_revision: 1,
            version,
            jobs_created: 0,
            deleted: false,
            oldest_revision: 1,
        })
    }

    fn batch(id: u128) -> RowChange {
        RowChange::AddBatch(BatchId(id))
    }

    #[test]
    fn the_last_head_of_each_pipeline_is_written_in_the_place_of_its_first() {
        let changes = [
            head(1, 1),
            batch(1),
            head(2, 1),
            head(1, 2),
            batch(2),
            head(1, 3),
        ];
        let written = coalesce(changes.into_iter());
        let expected = [head(1, 3), batch(1), head(2, 1), batch(2)];
        assert_eq!(format!("{written:?}"), format!("{expected:?}"));
    }
}
