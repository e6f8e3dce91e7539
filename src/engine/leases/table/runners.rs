//! Who is there.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{
    domain::lease::Registration,
    domain::{Candidate, Demand, JobId, LeaseId, Offer, RunnerId, SessionId, has_labels},
    engine::LeaseError,
    store::Claim,
};

use super::{Inner, LeaseState, LeaseTable, LiveLease, Now, REMEMBERED};

/// How many there are.
pub(in crate::engine) struct RunnerCount {
    pub(in crate::engine) online: usize,
    pub(in crate::engine) offline: usize,
    pub(in crate::engine) leases: usize,
}

/// What a runner is known by.
pub(in crate::engine) struct KnownRunner {
    pub(in crate::engine) registration: Registration,
    pub(in crate::engine) register_time: SystemTime,
    pub(in crate::engine) is_draining: bool,
    pub(super) last_seen: Instant,
    /// Each call of this session that waits for work right now has a copy.
    calls: Arc<()>,
    /// Those that have not ended.
    pub(super) leases: BTreeSet<LeaseId>,
}

impl LeaseTable {
    /// Keeps a runner, and tells whether it takes the place of an earlier session, the
    /// leases of which are void from now on.
    pub(in crate::engine) fn register(
        &self,
        id: RunnerId,
        registration: Registration,
        now: Now,
    ) -> bool {
        let mut inner = self.inner.lock();
        let known = inner.runners.get_mut(&id);
        if let Some(known) = known
            && known.registration.session_id == registration.session_id
        {
            known.last_seen = now.instant;
            return false;
        }
        let runner = KnownRunner {
            registration,
            register_time: now.time,
            is_draining: false,
            last_seen: now.instant,
            calls: Arc::default(),
            leases: BTreeSet::new(),
        };
        let earlier = inner.take_out(id);
        let offer = Arc::clone(&runner.registration.offer);
        inner.with_offer.entry(offer).or_default().insert(id);
        inner.runners.insert(id, runner);
        let is_replaced = earlier.is_some();
        for lease_id in earlier.into_iter().flat_map(|runner| runner.leases) {
            inner.void(lease_id, now.instant);
        }
        self.changed.notify_one();
        is_replaced
    }

    /// Whether a runner of this id was ever registered, under this session or another,
    /// by this principal: nobody takes over the runner of somebody else.
    pub(in crate::engine) fn knows(&self, id: RunnerId, owner: &str) -> bool {
        let inner = self.inner.lock();
        let known = inner.runners.get(&id);
        known.is_some_and(|runner| runner.registration.owner == owner)
    }

    /// Runners by whether they are connected, and what they hold.
    pub(in crate::engine) fn count(&self, now: Instant) -> RunnerCount {
        let inner = self.inner.lock();
        let all = inner.runners.len();
        let online = inner.runners.keys();
        let online = online
            .filter(|id| inner.is_online(**id, self.ttl, now))
            .count();
        let held = inner.runners.values().flat_map(|runner| &runner.leases);
        RunnerCount {
            online,
            offline: all - online,
            leases: held.filter(|id| inner.leases[id].is_live(now)).count(),
        }
    }

    /// How many runners are known.
    pub(in crate::engine) fn runners(&self) -> usize {
        self.inner.lock().runners.len()
    }

    /// Notes that a session waits for work, until the answer is dropped.
    pub(in crate::engine) fn wait(
        &self,
        id: RunnerId,
        session_id: SessionId,
        now: Now,
    ) -> Result<Waiting<'_>, LeaseError> {
        let mut inner = self.inner.lock();
        let runner = inner.session(id, session_id)?;
        runner.last_seen = now.instant;
        Ok(Waiting {
            call: Arc::clone(&runner.calls),
            table: self,
            id,
        })
    }

    /// What a session may ask for; none while it has all that it can hold.
    pub(in crate::engine) fn room(
        &self,
        id: RunnerId,
        session_id: SessionId,
    ) -> Result<Option<Claim>, LeaseError> {
        let mut inner = self.inner.lock();
        let has_room = inner.has_room(id);
        let runner = inner.session(id, session_id)?;
        Ok(has_room.then(|| Claim {
            runner_id: id,
            offer: Arc::clone(&runner.registration.offer),
            only_bound: runner.is_draining,
        }))
    }

    /// Runners that have gone silent since; those that went long ago are forgotten.
    pub(in crate::engine) fn silent(&self, now: Instant) -> Vec<RunnerId> {
        let mut inner = self.inner.lock();
        let ttl = self.ttl;
        let is_forgotten = |runner: &KnownRunner| {
            runner.leases.is_empty() && now >= runner.last_seen + REMEMBERED && !runner.waits()
        };
        let runners = inner.runners.iter();
        let forgotten = runners.filter(|(_, runner)| is_forgotten(runner));
        let forgotten: Vec<RunnerId> = forgotten.map(|(id, _)| *id).collect();
        for id in forgotten {
            inner.take_out(id);
        }
        let silent = |id: &&RunnerId| !inner.is_online(**id, ttl, now);
        inner.runners.keys().filter(silent).copied().collect()
    }

    /// Whether a runner holds a lease on a stage of a job, confirmed or not.
    pub(in crate::engine) fn has_stage_of(
        &self,
        job_id: JobId,
        id: RunnerId,
        now: Instant,
    ) -> bool {
        let inner = self.inner.lock();
        let of_job = |lease: &LiveLease| lease.job_id == job_id && lease.is_live(now);
        inner.runners.get(&id).is_some_and(|runner| {
            let mut leases = runner.leases.iter();
            leases.any(|lease_id| of_job(&inner.leases[lease_id]))
        })
    }

    pub(in crate::engine) fn offer(&self, id: RunnerId) -> Arc<Offer> {
        let inner = self.inner.lock();
        let runner = inner.runners.get(&id);
        runner
            .map(|runner| Arc::clone(&runner.registration.offer))
            .unwrap_or_default()
    }

    /// Looks at the runners that are connected and have the labels that are wanted.
    pub(in crate::engine) fn with_candidates<T>(
        &self,
        demand: &Demand,
        now: Instant,
        look: impl FnOnce(&mut dyn Iterator<Item = Candidate>) -> T,
    ) -> T {
        let inner = self.inner.lock();
        let groups = inner.with_offer.iter();
        let fitting = groups.filter(|(offer, _)| has_labels(&offer.labels, &demand.labels));
        let candidates = fitting.flat_map(|(offer, ids)| {
            let is_capable = offer.can_do(demand);
            ids.iter().map(move |id| (*id, is_capable))
        });
        let online = candidates.filter(|(id, _)| inner.is_online(*id, self.ttl, now));
        look(&mut online.map(|(id, is_capable)| Candidate {
            id,
            only_bound: inner.runners[&id].is_draining,
            is_capable,
        }))
    }

    /// Changes a runner; none if there is none of this id.
    pub(in crate::engine) fn set_draining(&self, id: RunnerId, is_draining: bool) -> Option<()> {
        let mut inner = self.inner.lock();
        inner.runners.get_mut(&id)?.is_draining = is_draining;
        Some(())
    }

    pub(in crate::engine) fn runner_ids(&self) -> Vec<RunnerId> {
        let mut ids: Vec<RunnerId> = self.inner.lock().runners.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// What is known of a runner: itself, whether it is connected, when it was heard
    /// of last, and its leases.
    pub(in crate::engine) fn look<T>(
        &self,
        id: RunnerId,
        now: Now,
        look: impl FnOnce(&KnownRunner, bool, SystemTime, Vec<LiveLease>) -> T,
    ) -> Option<T> {
        let inner = self.inner.lock();
        let runner = inner.runners.get(&id)?;
        let leases = runner.leases.iter().map(|lease_id| inner.leases[lease_id]);
        let confirmed = leases
            .filter(|lease| lease.state == LeaseState::Confirmed && lease.is_live(now.instant));
        let is_online = inner.is_online(id, self.ttl, now.instant);
        let silence = match runner.waits() {
            true => Duration::ZERO,
            false => now.instant.saturating_duration_since(runner.last_seen),
        };
        let last_seen = now.time.checked_sub(silence).unwrap_or(now.time);
        Some(look(runner, is_online, last_seen, confirmed.collect()))
    }
}

impl Inner {
    fn take_out(&mut self, id: RunnerId) -> Option<KnownRunner> {
        let runner = self.runners.remove(&id)?;
        let offer = &runner.registration.offer;
        if let Some(ids) = self.with_offer.get_mut(offer) {
            ids.remove(&id);
            if ids.is_empty() {
                self.with_offer.remove(offer);
            }
        }
        Some(runner)
    }
}

impl KnownRunner {
    /// Whether a call of it waits for work.
    pub(super) fn waits(&self) -> bool {
        Arc::strong_count(&self.calls) > 1
    }
}

/// A call that waits for work; a runner that waits is there.
pub(in crate::engine) struct Waiting<'a> {
    call: Arc<()>,
    table: &'a LeaseTable,
    id: RunnerId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut inner = self.table.inner.lock();
        // The calls of a later session are its own, even if it goes by the same id.
        if let Some(runner) = inner.runners.get_mut(&self.id)
            && Arc::ptr_eq(&runner.calls, &self.call)
        {
            // It was there until now, whoever ended the call.
            runner.last_seen = Instant::now();
        }
    }
}
