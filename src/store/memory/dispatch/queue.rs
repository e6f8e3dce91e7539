use std::{
    collections::{BTreeSet, HashMap, hash_map},
    sync::Arc,
};

use crate::{
    domain::{
        Bindings, Demand, FencingToken, Job, JobId, Offer, QueueRank, RunKey, RunnerId, StageRun,
        workspace_owner,
    },
    store::ReadyStage,
};

use super::{super::capture::Touched, queues::Queues};

/// A runner asks for a stage.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) runner_id: RunnerId,
    pub(super) offer: Arc<Offer>,
    /// Only stages of jobs that are bound to it.
    pub(super) only_bound: bool,
}

/// Stages that wait for a runner, first come first within a rank, apart by the
/// labels that they ask for: a claim looks only at the heads of the queues that
/// the runner's labels open.
///
/// A job is bound to the runner of its first stage, which has its workspace; stages
/// that this runner may have wait in queues of the runner's own. They are moved there
/// when another runner comes upon them, so that binding a job costs nothing.
#[derive(Default)]
pub(super) struct ReadyQueue {
    /// Stages in all queues: each trigger asks.
    waiting: usize,
    open: Queues,
    bound: HashMap<RunnerId, Queues>,
    bindings: HashMap<JobId, Bindings>,
    jobs: HashMap<RunnerId, BTreeSet<JobId>>,
    /// Bindings of which a workspace was made, with the token of the lease that was the
    /// first to be confirmed there.
    started: HashMap<(JobId, RunnerId), FencingToken>,
    /// Jobs whose bindings have changed.
    pub(super) touched: Touched<JobId>,
}

pub(super) type Place = (QueueRank, JobId, RunKey);

impl ReadyQueue {
    pub(super) fn insert(&mut self, job: &Job, run: &StageRun) {
        if let Some(place) = place(job, run) {
            self.put(&Demand::of(job.stage(run)), place);
        }
    }

    pub(super) fn put(&mut self, demand: &Demand, place: Place) {
        self.waiting += usize::from(self.open.insert(demand, place));
    }

    pub(super) fn remove(&mut self, job: &Job, run: &StageRun) {
        let Some(place) = place(job, run) else {
            return;
        };
        let demand = &Demand::of(job.stage(run));
        let mut bound = self.bindings.get(&job.id).into_iter().flatten();
        let was_there = self.open.remove(demand, place)
            || bound.any(|(runner, _)| {
                let queues = self.bound.get_mut(runner);
                queues.is_some_and(|queues| queues.remove(demand, place))
            });
        self.waiting -= usize::from(was_there);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// The first stage of all.
    pub(super) fn head(&self) -> Option<ReadyStage> {
        let queues = std::iter::once(&self.open).chain(self.bound.values());
        let heads = queues.flat_map(Queues::all_heads);
        let (_, job_id, run) = *heads.min()?;
        Some(ReadyStage { job_id, run })
    }

    /// Takes the first stage that the runner may have, and binds its job to the runner.
    pub(super) fn claim(&mut self, claim: &Claim) -> Option<ReadyStage> {
        if claim.only_bound {
            self.call_in(claim.runner_id);
        } else {
            self.set_aside(claim);
        }
        let own = self.bound.get(&claim.runner_id);
        let own = own.and_then(|queues| queues.first(&claim.offer));
        let open = if claim.only_bound {
            None
        } else {
            self.open.first(&claim.offer)
        };
        let (wanted, place) = [open, own]
            .into_iter()
            .flatten()
            .min_by_key(|(_, place)| *place)?;
        let wanted = wanted.clone();
        if !self.open.remove(&wanted, place)
            && let Some(queues) = self.bound.get_mut(&claim.runner_id)
        {
            queues.remove(&wanted, place);
        }
        self.waiting -= 1;
        let (_, job_id, run) = place;
        self.bind(job_id, claim.runner_id, &claim.offer);
        Some(ReadyStage { job_id, run })
    }

    pub(super) fn bindings(&self, job_id: JobId) -> Bindings {
        self.bindings.get(&job_id).cloned().unwrap_or_default()
    }

    /// The bindings of all jobs.
    pub(super) fn all_bindings(&self) -> impl Iterator<Item = (JobId, &Bindings)> {
        self.bindings.iter().map(|(id, bound)| (*id, bound))
    }

    pub(super) fn is_bound(&self, job_id: JobId, runner_id: RunnerId) -> bool {
        let jobs = self.jobs.get(&runner_id);
        jobs.is_some_and(|jobs| jobs.contains(&job_id))
    }

    /// Runners that any job is bound to.
    pub(super) fn bound_runners(&self) -> impl Iterator<Item = RunnerId> {
        self.jobs.keys().copied()
    }

    pub(super) fn bound_jobs(&self, runner_id: RunnerId) -> Vec<JobId> {
        self.jobs
            .get(&runner_id)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    /// The lease that made the workspace of a binding, if there is one.
    pub(super) fn started(&self, job_id: JobId, runner_id: RunnerId) -> Option<FencingToken> {
        self.started.get(&(job_id, runner_id)).copied()
    }

    /// Notes that a job has a workspace on a runner that it is bound to.
    pub(super) fn start(&mut self, job_id: JobId, runner_id: RunnerId, token: FencingToken) {
        if self.is_bound(job_id, runner_id) {
            self.touched.note(job_id);
            self.started.entry((job_id, runner_id)).or_insert(token);
        }
    }

    /// There is no such workspace after all, if this lease was to make it.
    pub(super) fn unstart(&mut self, job_id: JobId, runner_id: RunnerId, token: FencingToken) {
        if self.started(job_id, runner_id) == Some(token) {
            self.touched.note(job_id);
            self.started.remove(&(job_id, runner_id));
        }
    }

    /// Other runners may have the job's stages again.
    pub(super) fn unbind(&mut self, job_id: JobId, runner_id: RunnerId) {
        self.touched.note(job_id);
        self.started.remove(&(job_id, runner_id));
        if let hash_map::Entry::Occupied(mut bound) = self.bindings.entry(job_id) {
            bound.get_mut().retain(|(id, _)| *id != runner_id);
            if bound.get().is_empty() {
                bound.remove();
            }
        }
        if let hash_map::Entry::Occupied(mut jobs) = self.jobs.entry(runner_id) {
            jobs.get_mut().remove(&job_id);
            if jobs.get().is_empty() {
                jobs.remove();
            }
        }
        if let hash_map::Entry::Occupied(mut queues) = self.bound.entry(runner_id) {
            for (labels, place) in queues.get_mut().take_job(job_id) {
                self.open.insert(&labels, place);
            }
            if queues.get().is_empty() {
                queues.remove();
            }
        }
    }

    /// Forgets where an ended job ran.
    pub(super) fn forget(&mut self, job_id: JobId) {
        for (runner_id, _) in self.bindings(job_id) {
            self.unbind(job_id, runner_id);
        }
    }

    pub(super) fn bind(&mut self, job_id: JobId, runner_id: RunnerId, offer: &Arc<Offer>) {
        if self.jobs.entry(runner_id).or_default().insert(job_id) {
            self.touched.note(job_id);
            let runners = self.bindings.entry(job_id).or_default();
            runners.push((runner_id, Arc::clone(offer)));
        }
    }

    /// Moves what another runner is to have from the heads of the queues to its own.
    fn set_aside(&mut self, claim: &Claim) {
        while let Some((wanted, place)) = self.foreign_head(claim) {
            let (_, job_id, _) = place;
            let Some(owner) = self.owner(job_id, &wanted, claim) else {
                return;
            };
            self.open.remove(&wanted, place);
            self.bound.entry(owner).or_default().insert(&wanted, place);
        }
    }

    /// Moves all stages that only this runner may run to its own queues. Visits every stage
    /// that waits, so it is for runners that are about to leave.
    fn call_in(&mut self, runner_id: RunnerId) {
        let Some(jobs) = self.jobs.get(&runner_id) else {
            return;
        };
        let is_its_own = |wanted: &Demand, (_, job_id, _): &Place| {
            let bound = self.bindings.get(job_id).filter(|_| jobs.contains(job_id));
            bound.and_then(|bound| workspace_owner(bound, wanted)) == Some(runner_id)
        };
        let places = self
            .open
            .all()
            .filter(|(wanted, place)| is_its_own(wanted, place));
        let places: Vec<(Demand, Place)> = places.map(|(l, place)| (l.clone(), place)).collect();
        for (wanted, place) in places {
            self.open.remove(&wanted, place);
            let own = self.bound.entry(runner_id).or_default();
            own.insert(&wanted, place);
        }
    }

    /// The other runner that has to have a stage, if there is one.
    fn owner(&self, job_id: JobId, wanted: &Demand, claim: &Claim) -> Option<RunnerId> {
        let owner = workspace_owner(self.bindings.get(&job_id)?, wanted);
        owner.filter(|owner| *owner != claim.runner_id)
    }

    fn foreign_head(&self, claim: &Claim) -> Option<(Demand, Place)> {
        let heads = self.open.heads(&claim.offer);
        heads
            .filter(|(wanted, (_, job_id, _))| self.owner(*job_id, wanted, claim).is_some())
            .map(|(wanted, place)| (wanted.clone(), place))
            .next()
    }
}

/// None for a run that was never ready.
fn place(job: &Job, run: &StageRun) -> Option<Place> {
    let rank = QueueRank::new(run.queue_time?, job.priority);
    Some((rank, job.id, run.key()))
}
