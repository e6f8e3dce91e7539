//! Calls of runners that wait for work, and whom of them it concerns when something
//! happens: with a thousand runners that wait, a stage that none of them may have must wake
//! none.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, futures::Notified},
    time::Instant,
};

use crate::{
    domain::{Demand, JobId, Offer, RunnerId, SessionId, StageRun},
    engine::journal::Subscriber,
    store::Change,
};

/// Jobs of one call that are kept one by one. A runner may say that it has the workspaces of
/// ten thousand; a call that has more than this is woken by the end of any job.
const MOST_HELD: usize = 64;

/// The calls that wait.
#[derive(Default)]
pub(in crate::engine) struct Waiters(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    next: u64,
    calls: BTreeMap<u64, Arc<Notify>>,
    of_runner: Groups<RunnerId>,
    /// A runner that waits is there. The calls of a later session are its own.
    of_session: Groups<(RunnerId, SessionId)>,
    /// When the last call of a session ended that has none now.
    left: HashMap<(RunnerId, SessionId), Instant>,
    /// By what their runners offer.
    with_offer: Groups<Arc<Offer>>,
    /// By the jobs whose workspaces their runners have.
    holding: Groups<JobId>,
    holding_many: BTreeSet<u64>,
}

/// Calls that have something in common.
type Groups<Key> = HashMap<Key, BTreeSet<u64>>;

/// A call that waits, until it is dropped.
pub(in crate::engine) struct Waiter<'a> {
    waiters: &'a Waiters,
    number: u64,
    woken: Arc<Notify>,
    runner_id: RunnerId,
    session_id: SessionId,
    offer: Arc<Offer>,
    held: Vec<JobId>,
}

impl Waiters {
    /// Takes in a call of a runner that offers this, and the workspaces of these jobs.
    pub(in crate::engine) fn wait(
        &self,
        runner_id: RunnerId,
        session_id: SessionId,
        offer: Arc<Offer>,
        held: Vec<JobId>,
    ) -> Waiter<'_> {
        let woken = Arc::new(Notify::new());
        let mut inner = self.0.lock();
        let number = inner.next;
        inner.next += 1;
        inner.calls.insert(number, Arc::clone(&woken));
        join(&mut inner.of_runner, &runner_id, number);
        join(&mut inner.of_session, &(runner_id, session_id), number);
        inner.left.remove(&(runner_id, session_id));
        join(&mut inner.with_offer, &offer, number);
        let held = match held.len() {
            0..=MOST_HELD => held,
            _ => {
                inner.holding_many.insert(number);
                Vec::new()
            }
        };
        for job_id in &held {
            join(&mut inner.holding, job_id, number);
        }
        drop(inner);
        Waiter {
            waiters: self,
            number,
            woken,
            runner_id,
            session_id,
            offer,
            held,
        }
    }

    /// A stage is ready that asks for this.
    pub(in crate::engine) fn work(&self, demand: &Demand) {
        let inner = self.0.lock();
        let groups = inner.with_offer.iter();
        let fitting = groups.filter(|(offer, _)| offer.meets(demand));
        inner.wake(fitting.map(|(_, calls)| calls));
    }

    /// A job is over.
    pub(in crate::engine) fn over(&self, job_id: JobId) {
        let inner = self.0.lock();
        inner.wake(inner.holding.get(&job_id));
        inner.wake([&inner.holding_many]);
    }

    /// Something has changed for a runner.
    pub(in crate::engine) fn of(&self, runner_id: RunnerId) {
        let inner = self.0.lock();
        inner.wake(inner.of_runner.get(&runner_id));
    }

    /// When a session was there last because a call of it waited: now, if one does.
    pub(in crate::engine) fn waited(&self, id: RunnerId, session_id: SessionId) -> Option<Instant> {
        let inner = self.0.lock();
        let session = (id, session_id);
        if inner.of_session.contains_key(&session) {
            return Some(Instant::now());
        }
        inner.left.get(&session).copied()
    }

    /// Forgets sessions whose last call ended before a time.
    pub(in crate::engine) fn forget(&self, before: Instant) {
        self.0.lock().left.retain(|_, left| *left >= before);
    }

    /// Something has changed that may concern every runner.
    pub(in crate::engine) fn all(&self) {
        let inner = self.0.lock();
        inner.calls.values().for_each(|call| call.notify_one());
    }
}

impl Subscriber for Waiters {
    fn changed(&self, change: &Change) {
        match change {
            Change::Job(change) => {
                let job = &change.job;
                let demand = |run: &Arc<StageRun>| Demand::of(job.stage(run));
                // Many stages ask for the same, most often for nothing.
                let demands: BTreeSet<Demand> = change.ready().map(demand).collect();
                demands.iter().for_each(|demand| self.work(demand));
                if change.is_over {
                    self.over(job.id);
                }
            }
            Change::LeaseEnded(runner_id) => self.of(*runner_id),
            Change::Runners | Change::WorkspaceLost(_) => self.all(),
            Change::LeaseDue | Change::Due(_) | Change::Record(_) => {}
        }
    }
}

impl Inner {
    fn wake<'a>(&self, calls: impl IntoIterator<Item = &'a BTreeSet<u64>>) {
        let numbers = calls.into_iter().flatten();
        let calls = numbers.filter_map(|number| self.calls.get(number));
        calls.for_each(|call| call.notify_one());
    }
}

impl Waiter<'_> {
    /// Ends when something happened that may concern it, also if that was before this was
    /// called.
    pub(in crate::engine) fn woken(&self) -> Notified<'_> {
        self.woken.notified()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut inner = self.waiters.0.lock();
        inner.calls.remove(&self.number);
        inner.holding_many.remove(&self.number);
        leave(&mut inner.of_runner, &self.runner_id, self.number);
        let session = (self.runner_id, self.session_id);
        leave(&mut inner.of_session, &session, self.number);
        if !inner.of_session.contains_key(&session) {
            // It was there until now, whichever side ended the call.
            inner.left.insert(session, Instant::now());
        }
        leave(&mut inner.with_offer, &self.offer, self.number);
        for job_id in &self.held {
            leave(&mut inner.holding, job_id, self.number);
        }
    }
}

fn join<Key: Clone + Eq + Hash>(groups: &mut Groups<Key>, key: &Key, number: u64) {
    match groups.get_mut(key) {
        Some(calls) => calls.insert(number),
        None => groups
            .insert(key.clone(), BTreeSet::from([number]))
            .is_none(),
    };
}

fn leave<Key: Eq + Hash>(groups: &mut Groups<Key>, key: &Key, number: u64) {
    if let Some(calls) = groups.get_mut(key) {
        calls.remove(&number);
        if calls.is_empty() {
            groups.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use uuid::Uuid;

    use crate::domain::{ActionKind, Variables};

    use super::*;

    fn labels(of: &[(&str, &str)]) -> Variables {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        of.iter().map(owned).collect()
    }

    fn offer(of: &[(&str, &str)]) -> Arc<Offer> {
        Arc::new(Offer {
            labels: labels(of),
            actions: ActionKind::ALL.into(),
        })
    }

    fn demand(of: &[(&str, &str)]) -> Demand {
        Demand {
            labels: labels(of),
            action: ActionKind::Command,
        }
    }

    fn runner(number: u128) -> RunnerId {
        RunnerId(Uuid::from_u128(number))
    }

    fn session(number: u128) -> SessionId {
        SessionId(Uuid::from_u128(number))
    }

    fn job(number: u128) -> JobId {
        JobId(Uuid::from_u128(number))
    }

    fn is_woken(waiter: &Waiter<'_>) -> bool {
        waiter.woken().now_or_never().is_some()
    }

    #[test]
    fn what_happens_wakes_those_whom_it_concerns() {
        let waiters = Waiters::default();
        let plain = waiters.wait(runner(1), session(1), offer(&[]), vec![job(1)]);
        let gpu = waiters.wait(
            runner(2),
            session(1),
            offer(&[("gpu", "yes")]),
            vec![job(1), job(2)],
        );
        let woken = |what: &str| {
            let both = [is_woken(&plain), is_woken(&gpu)];
            assert_eq!([is_woken(&plain), is_woken(&gpu)], [false; 2], "{what}");
            both
        };
        assert_eq!(woken("nothing"), [false, false]);
        waiters.work(&demand(&[]));
        assert_eq!(woken("work for all"), [true, true]);
        waiters.work(&demand(&[("gpu", "yes")]));
        assert_eq!(woken("work for one"), [false, true]);
        waiters.work(&demand(&[("gpu", "no")]));
        assert_eq!(woken("work for none"), [false, false]);
        waiters.over(job(2));
        assert_eq!(woken("a job of one"), [false, true]);
        waiters.over(job(3));
        assert_eq!(woken("a job of none"), [false, false]);
        waiters.of(runner(1));
        assert_eq!(woken("a runner"), [true, false]);
        waiters.all();
        assert_eq!(woken("all"), [true, true]);
    }

    #[test]
    fn a_call_that_holds_very_many_is_woken_by_any_end() {
        let waiters = Waiters::default();
        let held = (0..=MOST_HELD as u128).map(job).collect();
        let waiter = waiters.wait(runner(1), session(1), offer(&[]), held);
        assert!(waiters.0.lock().holding.is_empty());
        waiters.over(job(1_000));
        assert!(is_woken(&waiter));
        drop(waiter);
        assert!(waiters.0.lock().holding_many.is_empty());
    }

    #[test]
    fn a_call_that_has_ended_leaves_nothing_behind() {
        let waiters = Waiters::default();
        let first = waiters.wait(
            runner(1),
            session(1),
            offer(&[("os", "linux")]),
            vec![job(1)],
        );
        let second = waiters.wait(
            runner(1),
            session(1),
            offer(&[("os", "linux")]),
            vec![job(1)],
        );
        drop(first);
        waiters.of(runner(1));
        assert!(is_woken(&second));
        drop(second);
        let inner = waiters.0.lock();
        assert!(inner.calls.is_empty() && inner.of_runner.is_empty());
        assert!(inner.with_offer.is_empty() && inner.holding.is_empty());
    }
}
