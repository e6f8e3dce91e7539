use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    domain::{Demand, JobId, PendingReason, RunnerId, SessionId},
    engine::{Error, environment::Environment},
    store::{Presence, RunnerRow, Store},
};

use super::Waiters;

/// Who is there: what the store knows of runners, with the calls that wait in this process.
pub(in crate::engine) struct Roster {
    store: Arc<dyn Store>,
    environment: Environment,
    waiters: Arc<Waiters>,
    lease_ttl: Duration,
}

impl Roster {
    pub(in crate::engine) fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        waiters: Arc<Waiters>,
        lease_ttl: Duration,
    ) -> Self {
        Self {
            store,
            environment,
            waiters,
            lease_ttl,
        }
    }

    /// Which runners are there. A runner that has not left is there for a lease's life after it was heard of, and
    /// as long as it holds a live lease or waits for work: `waits` is [`waits`](Self::waits).
    pub(in crate::engine) fn presence<'a>(
        &self,
        waits: &'a (dyn Fn(RunnerId, SessionId) -> bool + Sync),
    ) -> Presence<'a> {
        let now = self.environment.steady_now();
        let seen_since = now.checked_sub(self.lease_ttl).unwrap_or(now);
        Presence {
            now,
            seen_since,
            waits,
        }
    }

    /// Whether a call of a session waits for work, or did within a lease's life.
    pub(in crate::engine) fn waits(&self) -> impl Fn(RunnerId, SessionId) -> bool + Sync + '_ {
        |id, session_id| {
            let waited = self.waiters.waited(id, session_id);
            waited.is_some_and(|waited| waited + self.lease_ttl > Instant::now())
        }
    }

    /// Whether a runner is there, whatever it holds.
    pub(in crate::engine) fn is_present(&self, row: &RunnerRow, presence: Presence<'_>) -> bool {
        let is_heard = row.last_seen > presence.seen_since
            || (presence.waits)(row.id, row.registration.session_id);
        is_heard && !row.has_left
    }

    /// Why a ready stage of a job waits.
    pub(in crate::engine) async fn waits_for(
        &self,
        job_id: JobId,
        demand: &Demand,
    ) -> Result<PendingReason, Error> {
        let waits = self.waits();
        let presence = self.presence(&waits);
        Ok(self.store.waits_for(job_id, demand, presence).await?)
    }
}
