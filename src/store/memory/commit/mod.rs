//! A commit: lock the scopes, check everything, then change everything.

mod apply;
mod check;
mod limits;
mod scopes;

use super::{
    super::{Batch, Change, CommitError, Committed},
    MemoryStore,
};
use scopes::Scopes;

impl MemoryStore {
    pub(super) fn commit_batch(&self, batch: Batch) -> Result<(), CommitError> {
        let scopes = Scopes::of(self, &batch);
        let mut locked = scopes.lock(self, &batch);
        locked.check(self, &batch)?;
        // The last thing that can fail, because taking a name changes something.
        self.take_names(&batch.writes)?;

        let subscriber = self.subscriber.read();
        let told = subscriber
            .as_ref()
            .map(|subscriber| (subscriber, Committed::of(&batch)));
        let runners = locked.apply(self, batch);
        // The jobs stay locked until the feed knows, so that it learns of the changes of a
        // job in their order; it learns of nothing else's order.
        let jobs = locked.into_jobs();
        if let Some((subscriber, mut committed)) = told {
            let ended = runners.into_iter().map(Change::LeaseEnded);
            committed.changes.extend(ended);
            subscriber.committed(&committed);
        }
        drop(jobs);
        Ok(())
    }
}
