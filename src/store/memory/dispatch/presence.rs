//! Which runners are there.

use std::time::{Duration, SystemTime};

use crate::{
    domain::{Candidate, Demand, JobId, PendingReason, RunnerId, waits_for},
    store::Presence,
};

use super::{Dispatch, runners::Runner};

impl Dispatch {
    pub(super) fn waits_for(
        &self,
        job_id: JobId,
        demand: &Demand,
        presence: Presence<'_>,
    ) -> PendingReason {
        let candidates = self.runners.with_labels(demand);
        let present = candidates.filter(|(runner, _)| self.is_present(runner, presence));
        let candidates = present.map(|(runner, is_capable)| Candidate {
            id: runner.row.id,
            only_bound: runner.row.is_draining,
            is_capable,
        });
        waits_for(&self.queue.bindings(job_id), demand, candidates)
    }

    pub(super) fn silent_runners(&self, presence: Presence<'_>) -> Vec<RunnerId> {
        let is_silent = |id: &RunnerId| {
            let runner = self.runners.get(*id);
            !runner.is_some_and(|runner| self.is_present(runner, presence))
        };
        let mut silent: Vec<RunnerId> = self.queue.bound_runners().filter(is_silent).collect();
        silent.sort_unstable();
        silent
    }

    pub(super) fn next_silence(&self, presence: Presence<'_>) -> Option<SystemTime> {
        let patience = presence.now.duration_since(presence.seen_since);
        let patience = patience.unwrap_or(Duration::ZERO);
        let bound = self.queue.bound_runners();
        let runners = bound.filter_map(|id| self.runners.get(id));
        let silence = |runner: &Runner| {
            if waits(runner, presence) {
                // What it says when it stops waiting counts from then on.
                return None;
            }
            let leases = self.held_by(runner).map(|row| row.due());
            let seen_until = runner.row.last_seen.checked_add(patience);
            leases
                .chain(seen_until.filter(|_| !runner.row.has_left))
                .max()
        };
        let times = runners.filter_map(silence);
        times.filter(|time| *time > presence.now).min()
    }

    pub(super) fn forget_runners(
        &mut self,
        seen_before: SystemTime,
        presence: Presence<'_>,
    ) -> usize {
        let is_forgotten = |runner: &&Runner| {
            let row = &runner.row;
            row.last_seen < seen_before
                && runner.held.is_empty()
                && !self.is_present(runner, presence)
        };
        let forgotten = self.runners.all().filter(is_forgotten);
        let forgotten: Vec<RunnerId> = forgotten.map(|runner| runner.row.id).collect();
        for id in &forgotten {
            self.runners.remove(*id);
        }
        forgotten.len()
    }

    fn is_present(&self, runner: &Runner, presence: Presence<'_>) -> bool {
        let is_heard = !runner.row.has_left && runner.row.last_seen > presence.seen_since;
        is_heard
            || self.held_by(runner).any(|row| row.is_live(presence.now))
            || waits(runner, presence)
    }
}

fn waits(runner: &Runner, presence: Presence<'_>) -> bool {
    // The calls of one that has left may have ended a moment ago.
    !runner.row.has_left && (presence.waits)(runner.row.id, runner.row.registration.session_id)
}
