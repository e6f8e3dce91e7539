//! Who is there and who holds what: runners, and the leases that are out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use crate::{
    domain::{FencingToken, Holder, JobId, LeaseId, LostWorkspace, RunKey, RunnerId, SessionId},
    runner::{LeaseError, LeaseProof, Registration},
    store::Labels,
};

/// How long a runner that went away is still listed.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Time of the two clocks at once: one to count with, one to tell.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Now {
    pub(in crate::engine) instant: Instant,
    pub(in crate::engine) time: SystemTime,
}

/// A stage that was given out.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct LiveLease {
    pub(in crate::engine) job_id: JobId,
    pub(in crate::engine) run: RunKey,
    pub(in crate::engine) holder: Holder,
    /// The call that got it.
    pub(super) request_id: Uuid,
    /// The runner was told that it has the job's workspace.
    pub(super) workspace_exists: bool,
    pub(super) state: LeaseState,
    /// Void from here on, unless it is renewed.
    pub(super) expires: Instant,
    /// The service's own end of the stage, which no renewal moves.
    pub(super) ends_by: Option<Instant>,
    /// That end has come.
    pub(super) overran: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseState {
    /// Given out; nothing may have been started.
    Offered,
    Confirmed,
    /// Over, and remembered for a while: its end may be told again.
    Ended,
    /// No write is taken any more; its stage has yet to be given up.
    Void,
}

/// What a runner is known by.
pub(in crate::engine) struct KnownRunner {
    pub(in crate::engine) registration: Registration,
    pub(in crate::engine) register_time: SystemTime,
    pub(in crate::engine) is_draining: bool,
    last_seen: Instant,
    /// Calls of it that wait for work right now.
    waiting: usize,
    leases: BTreeSet<LeaseId>,
}

/// Runners and leases. Slots, connections and what is running are worked out from
/// it whenever they are asked for, never counted beside it.
pub(in crate::engine) struct LeaseTable {
    pub(super) ttl: Duration,
    inner: Mutex<Inner>,
    /// Something may be due earlier than it was.
    pub(in crate::engine) changed: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    runners: HashMap<RunnerId, KnownRunner>,
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

    /// Keeps a runner, and tells whether it takes the place of an earlier session, the
    /// leases of which are void from now on.
    pub(super) fn register(&self, id: RunnerId, registration: Registration, now: Now) -> bool {
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
            waiting: 0,
            leases: BTreeSet::new(),
        };
        let earlier = inner.runners.insert(id, runner);
        let is_replaced = earlier.is_some();
        for lease_id in earlier.into_iter().flat_map(|runner| runner.leases) {
            inner.void(lease_id, now.instant);
        }
        self.changed.notify_one();
        is_replaced
    }

    /// Whether a runner of this id was ever registered under this session or another.
    pub(super) fn knows(&self, id: RunnerId) -> bool {
        self.inner.lock().runners.contains_key(&id)
    }

    /// Notes that a session waits for work, until the answer is dropped.
    pub(super) fn wait(
        &self,
        id: RunnerId,
        session_id: SessionId,
        now: Now,
    ) -> Result<Waiting<'_>, LeaseError> {
        let mut inner = self.inner.lock();
        let runner = inner.session(id, session_id)?;
        runner.waiting += 1;
        runner.last_seen = now.instant;
        Ok(Waiting {
            table: self,
            id,
            session_id,
        })
    }

    /// The labels of a session that may have another lease; none while it has to wait.
    pub(super) fn room(
        &self,
        id: RunnerId,
        session_id: SessionId,
    ) -> Result<Option<Labels>, LeaseError> {
        let mut inner = self.inner.lock();
        let has_room = inner.has_room(id);
        let runner = inner.session(id, session_id)?;
        let labels = &runner.registration.labels;
        Ok((has_room && !runner.is_draining).then(|| labels.clone()))
    }

    /// The lease that a request got already, if that is still live.
    pub(super) fn answered(
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
    /// session has no room for it, or is gone.
    pub(super) fn grant(&self, lease_id: LeaseId, session_id: SessionId, lease: LiveLease) -> bool {
        let mut inner = self.inner.lock();
        let id = lease.holder.runner_id;
        let has_room = inner.has_room(id);
        match inner.session(id, session_id) {
            Ok(runner) if has_room && !runner.is_draining => runner.leases.insert(lease_id),
            _ => return false,
        };
        inner.put(lease_id, lease);
        self.changed.notify_one();
        true
    }

    /// The lease under which a write comes, if it is live.
    pub(super) fn live(&self, proof: LeaseProof, now: Now) -> Result<LiveLease, LeaseError> {
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

    pub(super) fn has_ended(&self, proof: LeaseProof) -> bool {
        let lease = self.inner.lock().find(proof);
        lease.is_ok_and(|lease| lease.state == LeaseState::Ended)
    }

    /// Changes a lease that is live.
    pub(super) fn update(
        &self,
        proof: LeaseProof,
        now: Instant,
        change: impl FnOnce(&mut LiveLease),
    ) {
        let mut inner = self.inner.lock();
        if let Ok(mut lease) = inner.find(proof)
            && lease.is_live(now)
        {
            change(&mut lease);
            inner.put(proof.lease_id, lease);
            self.changed.notify_one();
        }
    }

    pub(super) fn remove(&self, lease_id: LeaseId) {
        self.inner.lock().remove(lease_id);
    }

    /// Tries again to settle a lease that is void, a while later.
    pub(super) fn postpone(&self, lease_id: LeaseId, until: Instant) {
        self.inner.lock().void(lease_id, until);
    }

    /// Leases that are over by now, all of them void from here on. Those whose end was
    /// told are forgotten.
    pub(super) fn due(&self, now: Instant) -> Vec<(LeaseId, LiveLease)> {
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

    /// Runners that have gone silent since; those that went long ago are forgotten.
    pub(super) fn silent(&self, now: Instant) -> Vec<RunnerId> {
        let mut inner = self.inner.lock();
        let ttl = self.ttl;
        let forgotten =
            |runner: &KnownRunner| runner.leases.is_empty() && now >= runner.last_seen + REMEMBERED;
        inner
            .runners
            .retain(|_, runner| runner.waiting > 0 || !forgotten(runner));
        let silent = |id: &&RunnerId| !inner.is_online(**id, ttl, now);
        inner.runners.keys().filter(silent).copied().collect()
    }

    /// When to look again: at the next end of a lease, or of a runner's silence.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
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
    pub(super) fn lose(&self, job_id: JobId, lost: LostWorkspace) {
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

    pub(super) fn labels(&self, id: RunnerId) -> Labels {
        let inner = self.inner.lock();
        let runner = inner.runners.get(&id);
        runner
            .map(|runner| runner.registration.labels.clone())
            .unwrap_or_default()
    }

    /// The runners that are connected and take work, with their labels.
    pub(in crate::engine) fn offers(&self, now: Instant) -> BTreeMap<RunnerId, Labels> {
        let inner = self.inner.lock();
        let runners = inner.runners.iter();
        runners
            .filter(|(id, runner)| !runner.is_draining && inner.is_online(**id, self.ttl, now))
            .map(|(id, runner)| (*id, runner.registration.labels.clone()))
            .collect()
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
        let silence = match runner.waiting {
            0 => now.instant.saturating_duration_since(runner.last_seen),
            _ => Duration::ZERO,
        };
        let last_seen = now.time.checked_sub(silence).unwrap_or(now.time);
        Some(look(runner, is_online, last_seen, confirmed.collect()))
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
            runner.waiting > 0 || now < runner.last_seen + ttl || runner.leases.iter().any(holds)
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
        if let Some(runner) = self.runners.get_mut(&lease.holder.runner_id) {
            runner.leases.remove(&lease_id);
        }
    }
}

impl LiveLease {
    pub(super) fn is_live(&self, now: Instant) -> bool {
        let held = matches!(self.state, LeaseState::Offered | LeaseState::Confirmed);
        held && now < self.due()
    }

    fn due(&self) -> Instant {
        self.ends_by
            .map_or(self.expires, |ends_by| ends_by.min(self.expires))
    }

    fn proof(&self, lease_id: LeaseId) -> LeaseProof {
        LeaseProof {
            lease_id,
            token: self.token(),
        }
    }

    fn token(&self) -> FencingToken {
        self.holder.token
    }
}

/// A call that waits for work; a runner that waits is there.
pub(super) struct Waiting<'a> {
    table: &'a LeaseTable,
    id: RunnerId,
    session_id: SessionId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut inner = self.table.inner.lock();
        // A later session counts its own calls.
        if let Ok(runner) = inner.session(self.id, self.session_id) {
            runner.waiting -= 1;
            // It was there until now, whoever ended the call.
            runner.last_seen = Instant::now();
        }
        drop(inner);
        self.table.changed.notify_one();
    }
}
