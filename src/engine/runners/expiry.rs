//! Leases run out, runners go silent, and what waits for them is given up.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::{
    domain::JobId,
    engine::{
        Error,
        journal::Subscriber,
        tasks::{Ran, Task},
    },
    store::Change,
};

use super::Runners;

pub(in crate::engine) const TASK: Task = Task {
    name: "leases",
    description: "gives up leases that ran out and workspaces of runners that are gone",
    // Also the longest backoff: one lease that cannot be settled must not keep the others for
    // longer than their life and 5 s.
    period: Duration::from_secs(4),
};

/// How long a runner that went away is still listed.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Gives up leases as they run out, and the workspaces of runners that went silent.
pub(in crate::engine) struct Expiry {
    runners: Arc<Runners>,
    wakes: Arc<Wakes>,
}

/// Notifies the task when something may be due earlier than it was.
#[derive(Default)]
pub(in crate::engine) struct Wakes {
    pub(in crate::engine) wake: Arc<Notify>,
    /// Jobs of which a workspace is gone, or of which a stage is ready that may build on one
    /// that was: until their stranded stages were failed.
    stranded: Mutex<BTreeSet<JobId>>,
}

impl Subscriber for Wakes {
    fn changed(&self, change: &Change) {
        match change {
            Change::WorkspaceLost(job_id) => {
                self.stranded.lock().insert(*job_id);
                self.wake.notify_one();
            }
            Change::LeaseDue => self.wake.notify_one(),
            Change::Job(_)
            | Change::LeaseEnded(_)
            | Change::Runners
            | Change::Due(_)
            | Change::Record(_) => {}
        }
    }
}

impl Expiry {
    pub(in crate::engine) fn new(runners: Arc<Runners>, wakes: Arc<Wakes>) -> Self {
        Self { runners, wakes }
    }

    /// Answers when the next lease or silence is due.
    pub(in crate::engine) async fn run(self: Arc<Self>) -> Result<Ran, String> {
        let mut failed = None;
        let mut items = 0;
        let mut note = |what: String, result: Result<(), Error>| match result {
            Ok(()) => items += 1,
            Err(error) => failed = Some(format!("{what}: {error}")),
        };
        let runners = &self.runners;
        let store = runners.journal.store();
        let told = |error: crate::store::StoreError| error.to_string();
        let now = runners.now();
        for lease in store.due_leases(now).await.map_err(told)? {
            note(format!("lease {}", lease.id), runners.settle(lease).await);
        }
        let waits = runners.roster.waits();
        let silent = store.silent_runners(runners.roster.presence(&waits)).await;
        for runner_id in silent.map_err(told)? {
            let forsaken = runners.forsake(runner_id).await;
            note(format!("runner {runner_id}"), forsaken);
        }
        let stranded = std::mem::take(&mut *self.wakes.stranded.lock());
        for job_id in stranded {
            let result = runners.fail_what_is_stranded(job_id).await;
            if result.is_err() {
                self.wakes.stranded.lock().insert(job_id);
            }
            note(format!("job {job_id}"), result);
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        let next = self.next().await.map_err(told)?;
        Ok(Ran { items, next })
    }

    async fn next(&self) -> Result<Option<Instant>, crate::store::StoreError> {
        let runners = &self.runners;
        let store = runners.journal.store();
        let waits = runners.roster.waits();
        let presence = runners.roster.presence(&waits);
        if let Some(before) = presence.now.checked_sub(REMEMBERED) {
            store.forget_runners(before, presence).await?;
        }
        if let Some(before) = Instant::now().checked_sub(REMEMBERED) {
            runners.waiters.forget(before);
        }
        let lease = store.next_due_lease().await?;
        let silence = store.next_silence(presence).await?;
        let next = lease.into_iter().chain(silence).min();
        let environment = runners.journal.environment();
        Ok(next.map(|next| environment.instant_of(next)))
    }
}
