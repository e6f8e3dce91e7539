//! Takes values out of the memory that are durable elsewhere.

use std::time::SystemTime;

use crate::{domain::JobId, store::MemoryStore};

impl MemoryStore {
    /// Jobs that ended before a time.
    pub(in crate::store) fn ended_before(&self, time: SystemTime) -> Vec<JobId> {
        self.evictable.read().ended_before(time)
    }

    /// Forgets an ended job without removing its rows. False if it is not there.
    pub(in crate::store) fn unload_job(&self, id: JobId) -> bool {
        let Some(entry) = self.job_entry(id) else {
            return false;
        };
        let entry = entry.lock();
        if !entry.job.state.is_terminal() {
            return false;
        }
        self.forget_job(&entry.job, &entry.events);
        true
    }

    /// Forgets the idempotency records that were made before a time without removing their
    /// rows.
    pub(in crate::store) fn unload_answers(&self, made_before: SystemTime) {
        let removed = self.answers.lock().remove_before(made_before);
        self.subtract_answers(&removed);
    }

    /// Takes over from an earlier state of the store when runners were seen and how long their
    /// leases live.
    pub(in crate::store) fn carry_over(&self, earlier: &Self) {
        let earlier = earlier.dispatch.lock();
        let mut dispatch = self.dispatch.lock();
        dispatch.carry_over(&earlier);
    }
}
