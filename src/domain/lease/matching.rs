//! Which runner may have which stage.

use std::{collections::BTreeSet, sync::Arc};

use crate::domain::{ActionKind, PendingReason, RunnerId, Stage, Variables};

/// What a runner offers: a stage is given only to a runner that meets its [`Demand`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offer {
    /// The runner's labels.
    pub labels: Variables,
    /// The kinds of actions that it can do.
    pub actions: BTreeSet<ActionKind>,
}

/// What a stage asks of the runner that has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Demand {
    /// Labels that the runner must have.
    pub labels: Variables,
    /// The kind of action that it must be able to do.
    pub action: ActionKind,
}

impl Demand {
    /// What a stage asks for.
    pub fn of(stage: &Stage) -> Self {
        Self {
            labels: stage.runner_labels.clone(),
            action: stage.action.kind(),
        }
    }
}

impl Offer {
    /// Whether a runner that offers this may have a stage with that demand.
    pub fn meets(&self, demand: &Demand) -> bool {
        self.can_do(demand) && has_labels(&self.labels, &demand.labels)
    }

    /// Whether it can do the action, whatever the labels.
    pub fn can_do(&self, demand: &Demand) -> bool {
        self.actions.contains(&demand.action)
    }
}

/// Whether a runner with the labels `offered` may have a stage that asks for `wanted`.
pub fn has_labels(offered: &Variables, wanted: &Variables) -> bool {
    wanted
        .iter()
        .all(|(key, value)| offered.get(key) == Some(value))
}

/// The runners that keep a workspace of a job, in the order in which they came to it,
/// with what they offer.
pub type Bindings = Vec<(RunnerId, Arc<Offer>)>;

/// The one runner that may have a stage with this demand, if the job's workspace
/// decides that: stages share the first one that their demands let them share.
pub fn workspace_owner(bound: &Bindings, demand: &Demand) -> Option<RunnerId> {
    let owner = bound.iter().find(|(_, offer)| offer.meets(demand));
    owner.map(|(runner_id, _)| *runner_id)
}

/// A runner that is connected and has the labels that a stage asks for.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The runner.
    pub id: RunnerId,
    /// It takes only stages of jobs that are bound to it.
    pub only_bound: bool,
    /// It can do the stage's action.
    pub is_capable: bool,
}

/// Why a ready stage waits, by the rule that a claim goes by.
pub fn waits_for(
    bound: &Bindings,
    demand: &Demand,
    candidates: impl Iterator<Item = Candidate>,
) -> PendingReason {
    let owner = workspace_owner(bound, demand);
    let mut reason = PendingReason::NoMatchingRunner;
    for candidate in candidates {
        let may_have_it = owner.map_or(!candidate.only_bound, |owner| owner == candidate.id);
        match (may_have_it, candidate.is_capable) {
            (true, true) => return PendingReason::RunnersBusy,
            (true, false) => reason = PendingReason::NoCapableRunner,
            (false, _) => {}
        }
    }
    reason
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_stage_waits_for_what_no_runner_offers() {
        let demand = Demand {
            labels: Variables::new(),
            action: ActionKind::Command,
        };
        let candidate = |number, only_bound, is_capable| Candidate {
            id: RunnerId(Uuid::from_u128(number)),
            only_bound,
            is_capable,
        };
        let nobody = Bindings::new();
        let reason = |bound: &Bindings, candidates: &[Candidate]| {
            waits_for(bound, &demand, candidates.iter().copied())
        };
        assert_eq!(reason(&nobody, &[]), PendingReason::NoMatchingRunner);
        let incapable = candidate(1, false, false);
        assert_eq!(
            reason(&nobody, &[incapable]),
            PendingReason::NoCapableRunner
        );
        let draining = candidate(2, true, true);
        assert_eq!(
            reason(&nobody, &[draining]),
            PendingReason::NoMatchingRunner
        );
        let busy = candidate(3, false, true);
        assert_eq!(
            reason(&nobody, &[incapable, draining, busy]),
            PendingReason::RunnersBusy
        );
        let offer = Arc::new(Offer {
            labels: Variables::new(),
            actions: BTreeSet::from([ActionKind::Command]),
        });
        let bound = vec![(RunnerId(Uuid::from_u128(2)), offer)];
        assert_eq!(reason(&bound, &[busy]), PendingReason::NoMatchingRunner);
        assert_eq!(
            reason(&bound, &[draining, busy]),
            PendingReason::RunnersBusy
        );
    }

    #[test]
    fn an_offer_meets_a_demand_by_labels_and_by_what_it_can_do() {
        let labels = |labels: &[&str]| {
            let entry = |label: &&str| ((*label).to_owned(), "yes".to_owned());
            labels.iter().map(entry).collect::<Variables>()
        };
        let demand = Demand {
            labels: labels(&["gpu"]),
            action: ActionKind::Command,
        };
        let offer = |offered: &[&str], actions: &[ActionKind]| Offer {
            labels: labels(offered),
            actions: actions.iter().copied().collect(),
        };
        assert!(offer(&["gpu", "os"], &[ActionKind::Command]).meets(&demand));
        assert!(!offer(&["os"], &[ActionKind::Command]).meets(&demand));
        assert!(!offer(&["gpu"], &[]).meets(&demand));
    }
}
