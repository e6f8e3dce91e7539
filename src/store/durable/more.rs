use std::time::Duration;

use parking_lot::{Condvar, MutexGuard};

use super::journal::Journal;

/// Wakes the writer when there is something for it.
#[derive(Default)]
pub(super) struct More {
    thread: Condvar,
    /// The writer of a simulation is a task.
    #[cfg(test)]
    pub(super) task: tokio::sync::Notify,
}

impl More {
    pub(super) fn notify(&self) {
        self.thread.notify_all();
        #[cfg(test)]
        self.task.notify_one();
    }

    /// Blocks until there may be something. Returns whether the wait timed out.
    pub(super) fn wait_for(
        &self,
        journal: &mut MutexGuard<'_, Journal>,
        timeout: Duration,
    ) -> bool {
        self.thread.wait_for(journal, timeout).timed_out()
    }
}
