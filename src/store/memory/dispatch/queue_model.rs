//! The queue against a plain search.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::{collection::vec, prelude::*};
use uuid::Uuid;

use crate::{
    domain::{
        ActionKind, Bindings, Demand, JobId, Offer, QueueRank, RunKey, RunnerId, Variables,
        workspace_owner,
    },
    store::ReadyStage,
};

use super::queue::{Claim, Place, ReadyQueue};

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
