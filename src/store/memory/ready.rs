use std::{
    collections::{BTreeSet, HashMap, hash_map},
    sync::Arc,
};

use crate::domain::{
    Bindings, Demand, Job, JobId, Offer, QueueRank, RunKey, RunnerId, StageRun, workspace_owner,
};

use super::super::{Claim, ReadyStage};

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
}

type Place = (QueueRank, JobId, RunKey);

impl ReadyQueue {
    pub(super) fn insert(&mut self, job: &Job, run: &StageRun) {
        if let Some(place) = place(job, run) {
            self.put(&Demand::of(job.stage(run)), place);
        }
    }

    fn put(&mut self, demand: &Demand, place: Place) {
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
        let heads = queues.flat_map(|queues| queues.0.values().filter_map(BTreeSet::first));
        let (_, job_id, run) = *heads.min()?;
        Some(ReadyStage { job_id, run })
    }

    /// Takes the first stage that the runner may have, and binds its job to the runner.
    pub(super) fn claim(&mut self, claim: &Claim) -> Option<ReadyStage> {
        match claim.only_bound {
            true => self.call_in(claim.runner_id),
            false => self.set_aside(claim),
        }
        let own = self.bound.get(&claim.runner_id);
        let own = own.and_then(|queues| queues.first(&claim.offer));
        let open = match claim.only_bound {
            true => None,
            false => self.open.first(&claim.offer),
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
        self.bind(job_id, claim);
        Some(ReadyStage { job_id, run })
    }

    pub(super) fn bindings(&self, job_id: JobId) -> Bindings {
        self.bindings.get(&job_id).cloned().unwrap_or_default()
    }

    pub(super) fn bound_jobs(&self, runner_id: RunnerId) -> Vec<JobId> {
        self.jobs
            .get(&runner_id)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    /// Other runners may have the job's stages again.
    pub(super) fn unbind(&mut self, job_id: JobId, runner_id: RunnerId) {
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
        for runner_id in self.bindings(job_id).into_iter().map(|(id, _)| id) {
            self.unbind(job_id, runner_id);
        }
    }

    fn bind(&mut self, job_id: JobId, claim: &Claim) {
        let runners = self.bindings.entry(job_id).or_default();
        if !runners.iter().any(|(id, _)| *id == claim.runner_id) {
            runners.push((claim.runner_id, Arc::clone(&claim.offer)));
        }
        self.jobs.entry(claim.runner_id).or_default().insert(job_id);
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

    /// Moves all that a runner has to have to its own queues. Looks at every stage that
    /// waits, so it is for runners that are about to go.
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

/// Queues by the labels that their stages ask for.
#[derive(Default)]
struct Queues(HashMap<Demand, BTreeSet<Place>>);

impl Queues {
    /// Whether it is new.
    fn insert(&mut self, demand: &Demand, place: Place) -> bool {
        match self.0.get_mut(demand) {
            Some(queue) => queue.insert(place),
            None => {
                let queue = BTreeSet::from([place]);
                self.0.insert(demand.clone(), queue).is_none()
            }
        }
    }

    fn remove(&mut self, demand: &Demand, place: Place) -> bool {
        let Some(queue) = self.0.get_mut(demand) else {
            return false;
        };
        let was_there = queue.remove(&place);
        if queue.is_empty() {
            self.0.remove(demand);
        }
        was_there
    }

    /// The first of each queue that the labels open.
    fn heads(&self, offer: &Offer) -> impl Iterator<Item = (&Demand, Place)> {
        self.0
            .iter()
            .filter(move |(wanted, _)| offer.meets(wanted))
            .filter_map(|(wanted, queue)| Some((wanted, *queue.first()?)))
    }

    fn first(&self, offer: &Offer) -> Option<(&Demand, Place)> {
        self.heads(offer).min_by_key(|(_, place)| *place)
    }

    fn all(&self) -> impl Iterator<Item = (&Demand, Place)> {
        let queues = self.0.iter();
        queues.flat_map(|(labels, queue)| queue.iter().map(move |place| (labels, *place)))
    }

    fn take_job(&mut self, job_id: JobId) -> Vec<(Demand, Place)> {
        let places: Vec<(Demand, Place)> = self
            .all()
            .filter(|(_, (_, id, _))| *id == job_id)
            .map(|(labels, place)| (labels.clone(), place))
            .collect();
        for (labels, place) in &places {
            self.remove(labels, *place);
        }
        places
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// None for a run that was never ready.
fn place(job: &Job, run: &StageRun) -> Option<Place> {
    let rank = QueueRank::new(run.queue_time?, job.priority);
    Some((rank, job.id, run.key()))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        time::{Duration, SystemTime},
    };

    use proptest::{collection::vec, prelude::*};
    use uuid::Uuid;

    use crate::domain::{ActionKind, Variables};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Add {
            job: u8,
            stage: u8,
            rank: u8,
            wants: u8,
        },
        Claim {
            runner: u8,
            only_bound: bool,
        },
        Unbind {
            job: u8,
            runner: u8,
        },
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4u8, 0..8u8, 0..6u8, 0..4u8)
                .prop_map(|(job, stage, rank, wants)| Step::Add { job, stage, rank, wants }),
            4 => (0..4u8, prop::bool::weighted(0.2))
                .prop_map(|(runner, only_bound)| Step::Claim { runner, only_bound }),
            1 => (0..4u8, 0..4u8).prop_map(|(job, runner)| Step::Unbind { job, runner }),
        ]
    }

    /// Demand by their bits.
    fn labels(bits: u8) -> Variables {
        let all = [(1, "os"), (2, "gpu")];
        let set = all.into_iter().filter(|(bit, _)| bits & bit != 0);
        set.map(|(_, name)| (name.to_owned(), "yes".to_owned()))
            .collect()
    }

    fn demand(bits: u8) -> Demand {
        Demand {
            labels: labels(bits),
            action: ActionKind::Command,
        }
    }

    fn job_id(number: u8) -> JobId {
        JobId(Uuid::from_u128(number.into()))
    }

    /// Runners differ in their labels; two pairs are alike.
    fn claim(number: u8, only_bound: bool) -> Claim {
        Claim {
            only_bound,
            runner_id: RunnerId(Uuid::from_u128(number.into())),
            offer: Arc::new(Offer {
                labels: labels([3, 3, 1, 0][usize::from(number)]),
                actions: ActionKind::ALL.into(),
            }),
        }
    }

    fn place(job: u8, stage: u8, rank: u8) -> Place {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(rank.into());
        let (stage, attempt) = (stage.into(), 1);
        (
            QueueRank::new(time, 0),
            job_id(job),
            RunKey { stage, attempt },
        )
    }

    /// What the queue has to do, with no thought of speed.
    #[derive(Default)]
    struct Plain {
        waiting: BTreeMap<Place, Demand>,
        bindings: HashMap<JobId, Bindings>,
    }

    impl Plain {
        fn claim(&mut self, claim: &Claim) -> Option<ReadyStage> {
            let may_have = |(_, job_id, _): &Place, wanted: &Demand| {
                let bound = self.bindings.get(job_id).cloned().unwrap_or_default();
                let owner = workspace_owner(&bound, wanted);
                let is_its_own = owner == Some(claim.runner_id);
                claim.offer.meets(wanted) && (is_its_own || (owner.is_none() && !claim.only_bound))
            };
            let (place, _) = self
                .waiting
                .iter()
                .find(|(p, wanted)| may_have(p, wanted))?;
            let place = *place;
            self.waiting.remove(&place);
            let (_, job_id, run) = place;
            let bound = self.bindings.entry(job_id).or_default();
            if !bound.iter().any(|(id, _)| *id == claim.runner_id) {
                bound.push((claim.runner_id, Arc::clone(&claim.offer)));
            }
            Some(ReadyStage { job_id, run })
        }
    }

    proptest! {
        #[test]
        fn the_queue_gives_out_what_a_plain_search_would(steps in vec(any_step(), 0..80)) {
            let mut queue = ReadyQueue::default();
            let mut plain = Plain::default();
            for step in steps {
                match step {
                    Step::Add { job, stage, rank, wants } => {
                        let place = place(job, stage, rank);
                        let same = |other: &Place| (other.1, other.2) == (place.1, place.2);
                        if !plain.waiting.keys().any(same) {
                            queue.put(&demand(wants), place);
                            plain.waiting.insert(place, demand(wants));
                        }
                    }
                    Step::Claim { runner, only_bound } => {
                        let claim = claim(runner, only_bound);
                        prop_assert_eq!(queue.claim(&claim), plain.claim(&claim));
                    }
                    Step::Unbind { job, runner } => {
                        let runner_id = claim(runner, false).runner_id;
                        queue.unbind(job_id(job), runner_id);
                        if let Some(bound) = plain.bindings.get_mut(&job_id(job)) {
                            bound.retain(|(id, _)| *id != runner_id);
                        }
                    }
                }
                prop_assert_eq!(queue.len(), plain.waiting.len());
            }
        }
    }
}
