//! Who is there and who holds what: runners, and the leases that are out.

mod lease;
mod runners;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use crate::{
    domain::lease::LeaseProof,
    domain::{JobId, LeaseId, LostWorkspace, Offer, RunnerId, SessionId},
    engine::LeaseError,
    store::Claim,
};

pub(in crate::engine) use lease::{LeaseState, LiveLease};
use runners::KnownRunner;

/// How long a runner that went away is still listed.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Time of the two clocks at once: one to count with, one to tell.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Now {
    pub(in crate::engine) instant: Instant,
    pub(in crate::engine) time: SystemTime,
}

/// Runners and leases. Slots, connections and what is running are worked out from
/// it whenever they are asked for, never counted beside it.
pub(in crate::engine) struct LeaseTable {
    pub(in crate::engine) ttl: Duration,
    inner: Mutex<Inner>,
    /// Something may be due earlier than it was.
    pub(in crate::engine) changed: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    runners: HashMap<RunnerId, KnownRunner>,
    /// The same by what they offer: many offer the same, and only some may have a stage.
    with_offer: HashMap<Arc<Offer>, BTreeSet<RunnerId>>,
    leases: HashMap<LeaseId, LiveLease>,
    due: BTreeSet<(Instant, LeaseId)>,
    /// Of active jobs: workspaces that are gone.
    lost: HashMap<JobId, Vec<LostWorkspace>>,
}

impl LeaseTable {
    pub(in crate::engine) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            inner: Mutex::default(),
            changed: Arc::new(Notify::new()),
        }
    }

    /// The lease that a request got already, if that is still live.
    pub(in crate::engine) fn answered(
        &self,
        id: RunnerId,
        request_id: Uuid,
        now: Instant,
    ) -> Option<(LeaseProof, LiveLease)> {
        let inner = self.inner.lock();
        let leases = inner.runners.get(&id)?.leases.iter();
        leases
            .map(|lease_id| (*lease_id, inner.leases[lease_id]))
            .find(|(_, lease)| lease.request_id == request_id && lease.is_live(now))
            .map(|(lease_id, lease)| (lease.proof(lease_id), lease))
    }

    /// Gives a lease out, to be confirmed within half a lease's life. False when the
    /// session has no room for it, drains, or is gone.
    pub(in crate::engine) fn grant(
        &self,
        lease_id: LeaseId,
        session_id: SessionId,
        lease: LiveLease,
        claim: &Claim,
    ) -> bool {
        let mut inner = self.inner.lock();
        let id = lease.holder.runner_id;
        let has_room = inner.has_room(id);
        match inner.session(id, session_id) {
            Ok(runner) if has_room && (claim.only_bound || !runner.is_draining) => {
                runner.leases.insert(lease_id)
            }
            _ => return false,
        };
        inner.put(lease_id, lease);
        self.tell_if_first(&inner, lease_id);
        true
    }

    /// The lease under which a write comes, if it is live.
    pub(in crate::engine) fn live(
        &self,
        proof: LeaseProof,
        now: Now,
    ) -> Result<LiveLease, LeaseError> {
        let mut inner = self.inner.lock();
        let lease = inner.find(proof)?;
        if !lease.is_live(now.instant) {
            return Err(LeaseError::Lost);
        }
        if let Some(runner) = inner.runners.get_mut(&lease.holder.runner_id) {
            runner.last_seen = now.instant;
        }
        Ok(lease)
    }

    pub(in crate::engine) fn has_ended(&self, proof: LeaseProof) -> bool {
        let lease = self.inner.lock().find(proof);
        lease.is_ok_and(|lease| lease.state == LeaseState::Ended)
    }

    /// Changes a lease that is live; false if it is not.
    pub(in crate::engine) fn update(
        &self,
        proof: LeaseProof,
        now: Instant,
        change: impl FnOnce(&mut LiveLease),
    ) -> bool {
        let mut inner = self.inner.lock();
        let Some(mut lease) = inner.find(proof).ok().filter(|lease| lease.is_live(now)) else {
            return false;
        };
        change(&mut lease);
        inner.put(proof.lease_id, lease);
        if lease.state == LeaseState::Ended {
            inner.take_from_session(proof.lease_id, lease);
        }
        self.tell_if_first(&inner, proof.lease_id);
        true
    }

    /// Only the first end can be due earlier than it was: whoever waits for it looks for
    /// the one that is first by then.
    fn tell_if_first(&self, inner: &Inner, lease_id: LeaseId) {
        if inner
            .due
            .first()
            .is_some_and(|(_, first)| *first == lease_id)
        {
            self.changed.notify_one();
        }
    }

    /// Takes in a lease that is void from the start: its stage is given up, as often as
    /// it takes.
    pub(in crate::engine) fn abandon(&self, lease_id: LeaseId, lease: LiveLease, until: Instant) {
        self.inner.lock().put(
            lease_id,
            LiveLease {
                state: LeaseState::Void,
                expires: until,
                ends_by: None,
                ..lease
            },
        );
        self.changed.notify_one();
    }

    pub(in crate::engine) fn remove(&self, lease_id: LeaseId) {
        self.inner.lock().remove(lease_id);
    }

    /// Tries again to settle a lease that is void, a while later.
    pub(in crate::engine) fn postpone(&self, lease_id: LeaseId, until: Instant) {
        self.inner.lock().void(lease_id, until);
    }

    /// Leases that are over by now, all of them void from here on. Those whose end was
    /// told are forgotten.
    pub(in crate::engine) fn due(&self, now: Instant) -> Vec<(LeaseId, LiveLease)> {
        let mut inner = self.inner.lock();
        let due: Vec<LeaseId> = inner
            .due
            .iter()
            .take_while(|(time, _)| *time <= now)
            .map(|(_, lease_id)| *lease_id)
            .collect();
        let mut void = Vec::new();
        for lease_id in due {
            if inner.leases[&lease_id].state == LeaseState::Ended {
                inner.remove(lease_id);
                continue;
            }
            inner.void(lease_id, now);
            // Out of the list until it is settled or postponed.
            inner.due.remove(&(now, lease_id));
            void.push((lease_id, inner.leases[&lease_id]));
        }
        void
    }

    /// When to look again: at the next end of a lease, or of a runner's silence.
    pub(in crate::engine) fn next_due(&self, now: Instant) -> Option<Instant> {
        let inner = self.inner.lock();
        let lease = inner.due.first().map(|(time, _)| *time);
        let runners = inner.runners.values().map(|runner| {
            let silent = runner.last_seen + self.ttl;
            match silent > now {
                true => silent,
                false => runner.last_seen + REMEMBERED,
            }
        });
        lease
            .into_iter()
            .chain(runners.filter(|time| *time > now))
            .min()
    }

    /// Remembers that a workspace of a job is gone.
    pub(in crate::engine) fn lose(&self, job_id: JobId, lost: LostWorkspace) {
        let mut inner = self.inner.lock();
        let known = inner.lost.entry(job_id).or_default();
        if !known.contains(&lost) {
            known.push(lost);
        }
    }

    pub(in crate::engine) fn lost_workspaces(&self, job_id: JobId) -> Vec<LostWorkspace> {
        let inner = self.inner.lock();
        inner.lost.get(&job_id).cloned().unwrap_or_default()
    }

    /// Forgets what was noted of a job that has ended.
    pub(in crate::engine) fn forget(&self, job_id: JobId) {
        self.inner.lock().lost.remove(&job_id);
    }
}

impl Inner {
    fn session(
        &mut self,
        id: RunnerId,
        session_id: SessionId,
    ) -> Result<&mut KnownRunner, LeaseError> {
        let runner = self.runners.get_mut(&id);
        runner
            .filter(|runner| runner.registration.session_id == session_id)
            .ok_or(LeaseError::Unregistered)
    }

    fn has_room(&self, id: RunnerId) -> bool {
        let held = |lease_id: &&LeaseId| {
            let state = self.leases[*lease_id].state;
            matches!(state, LeaseState::Offered | LeaseState::Confirmed)
        };
        self.runners.get(&id).is_some_and(|runner| {
            runner.leases.iter().filter(held).count() < runner.registration.capacity
        })
    }

    fn is_online(&self, id: RunnerId, ttl: Duration, now: Instant) -> bool {
        self.runners.get(&id).is_some_and(|runner| {
            let holds = |lease_id: &LeaseId| self.leases[lease_id].is_live(now);
            runner.waits() || now < runner.last_seen + ttl || runner.leases.iter().any(holds)
        })
    }

    fn find(&self, proof: LeaseProof) -> Result<LiveLease, LeaseError> {
        let lease = self.leases.get(&proof.lease_id).copied();
        lease
            .filter(|lease| lease.holder.token == proof.token)
            .ok_or(LeaseError::Lost)
    }

    fn put(&mut self, lease_id: LeaseId, lease: LiveLease) {
        let time = lease.due();
        if let Some(old) = self.leases.insert(lease_id, lease) {
            self.due.remove(&(old.due(), lease_id));
        }
        self.due.insert((time, lease_id));
    }

    fn void(&mut self, lease_id: LeaseId, until: Instant) {
        if let Some(lease) = self.leases.get(&lease_id).copied() {
            let lease = LiveLease {
                state: match lease.state {
                    LeaseState::Ended => LeaseState::Ended,
                    _ => LeaseState::Void,
                },
                overran: lease.overran || lease.ends_by.is_some_and(|ends_by| ends_by <= until),
                expires: until,
                ends_by: None,
                ..lease
            };
            self.put(lease_id, lease);
        }
    }

    fn remove(&mut self, lease_id: LeaseId) {
        let Some(lease) = self.leases.remove(&lease_id) else {
            return;
        };
        self.due.remove(&(lease.due(), lease_id));
        self.take_from_session(lease_id, lease);
    }

    fn take_from_session(&mut self, lease_id: LeaseId, lease: LiveLease) {
        if let Some(runner) = self.runners.get_mut(&lease.holder.runner_id) {
            runner.leases.remove(&lease_id);
        }
    }
}
