use std::{
    collections::{HashMap, hash_map},
    time::Duration,
};

use tokio::time::Instant;

use crate::store::{RowChange, StoreError, StoreErrorKind};

use super::{
    Shared, Sink, SinkError,
    journal::{Entry, Journal},
    load,
};

/// Entries in one transaction.
const MAX_GROUP: usize = 512;
/// How long lazy changes wait for an entry to be written with.
pub(super) const LAZY: Duration = Duration::from_secs(5);
/// Time between two rounds of maintenance.
pub(super) const MAINTENANCE: Duration = Duration::from_secs(10 * 60);

/// What is written by one transaction.
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    pub(super) rows: Vec<RowChange>,
}

impl Shared {
    /// Writes groups until the store is closed and everything is written, with a round of
    /// maintenance between two of them when it is time, however busy the store is.
    pub(super) fn write_until_closed(&self, sink: &mut dyn Sink, maintenance: Duration) {
        let mut due = Instant::now() + maintenance;
        loop {
            if due <= Instant::now() {
                let Some(has_more) = self.maintain(sink) else {
                    return;
                };
                let pause = if has_more {
                    Duration::ZERO
                } else {
                    maintenance
                };
                due = Instant::now() + pause;
            }
            match self.next() {
                Next::Group(group) => {
                    let written = sink.write(&group.rows);
                    if !self.conclude(group.entries, written) {
                        return;
                    }
                }
                Next::Wait => {}
                Next::End => return,
            }
        }
    }

    /// Waits a while for something to write.
    fn next(&self) -> Next {
        let mut journal = self.journal.lock();
        let next = Next::of(&mut journal);
        if !matches!(next, Next::Wait) {
            return next;
        }
        let timed_out = self.more.wait_for(&mut journal, LAZY);
        if timed_out && let Some(group) = Group::of_lazy(&mut journal) {
            return Next::Group(group);
        }
        Next::of(&mut journal)
    }

    /// Whether there is more to maintain; none if the store has failed.
    fn maintain(&self, sink: &mut dyn Sink) -> Option<bool> {
        match sink.maintain() {
            Ok(has_more) => Some(has_more),
            Err(error @ SinkError::Full(_)) => {
                tracing::warn!(%error, "old rows could not be removed");
                Some(false)
            }
            // As after any write: a later one could succeed although this one is lost.
            error => self.conclude(Vec::new(), error.map(drop)).then_some(false),
        }
    }

    /// Fails the store after a panic of its writer: no operation would ever be acknowledged.
    pub(super) fn fail_after_panic(&self) {
        tracing::error!("the writer of the store panicked: the service must end");
        let error = StoreError {
            message: "the writer panicked".to_owned(),
            kind: StoreErrorKind::Permanent,
            source: None,
        };
        self.fail(Vec::new(), error);
    }

    /// Settles the entries of a group as its write ended. False if the store has failed.
    pub(super) fn conclude(&self, entries: Vec<Entry>, written: Result<(), SinkError>) -> bool {
        match written {
            Ok(()) => {
                self.settle(entries);
                true
            }
            Err(SinkError::Full(message)) => {
                tracing::error!(%message, "the disk is full: writes are refused");
                *self.full_since.lock() = Some(Instant::now());
                self.roll_back(entries, StoreError::full(message))
            }
            Err(SinkError::Fatal(source)) => {
                tracing::error!(error = %source, "a write failed: the service must end");
                let error = StoreError {
                    message: format!("a write failed: {source}"),
                    kind: StoreErrorKind::Permanent,
                    source: Some(source.into()),
                };
                self.fail(entries, error);
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
        self.progress.change(|reached| reached.settled += count);
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
                self.refuse(refused, &error, journal.submitted);
                true
            }
            Err(failed) => {
                drop(journal);
                self.fail(refused, failed);
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
        let submitted = journal.submitted;
        drop(journal);
        self.failed.cancel();
        self.refuse(refused, &error, submitted);
    }

    /// Refuses these entries, after which all that were submitted are settled: also those that a
    /// panic of the writer has taken with it.
    fn refuse(&self, entries: Vec<Entry>, error: &StoreError, submitted: u64) {
        self.progress.change(|reached| {
            reached.settled = submitted;
            reached.failures += 1;
        });
        for entry in entries {
            let _ = entry.done.send(Err(error.clone()));
        }
    }
}

/// What the writer does next.
pub(super) enum Next {
    Group(Group),
    /// There is nothing to write yet.
    Wait,
    /// The store is closed, and everything is written.
    End,
}

impl Next {
    pub(super) fn of(journal: &mut Journal) -> Self {
        if !journal.entries.is_empty() {
            return Self::Group(Group::of_entries(journal));
        }
        if journal.closed.is_none() {
            return Self::Wait;
        }
        Group::of_lazy(journal).map_or(Self::End, Self::Group)
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

    /// The lazy changes, if there are any.
    pub(super) fn of_lazy(journal: &mut Journal) -> Option<Self> {
        let rows = journal.take_lazy();
        (!rows.is_empty()).then(|| Self {
            entries: Vec::new(),
            rows,
        })
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
