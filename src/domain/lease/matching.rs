//! Matches stages with runners.

use std::{collections::BTreeSet, sync::Arc};

use crate::domain::{ActionKind, PendingReason, RunnerId, Stage, Variables};

/// The labels and actions of a runner. A stage is leased only to a runner whose offer meets
/// the stage's [`Demand`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offer {
    pub labels: Variables,
    /// The kinds of actions that the runner supports.
    pub actions: BTreeSet<ActionKind>,
}

/// The labels and the action that a stage requires of its runner.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Demand {
    pub labels: Variables,
    pub action: ActionKind,
}

impl Demand {
    pub fn of(stage: &Stage) -> Self {
        Self {
            labels: stage.runner_labels.clone(),
            action: stage.action.kind(),
        }
    }
}

impl Offer {
    pub fn meets(&self, demand: &Demand) -> bool {
        self.can_do(demand) && has_labels(&self.labels, &demand.labels)
    }

    /// Whether the runner supports the action, whatever its labels.
    pub fn can_do(&self, demand: &Demand) -> bool {
        self.actions.contains(&demand.action)
    }
}

/// Whether a runner with the labels `offered` may run a stage that requires `wanted`.
pub fn has_labels(offered: &Variables, wanted: &Variables) -> bool {
    wanted
        .iter()
        .all(|(key, value)| offered.get(key) == Some(value))
}

/// The runners that have a workspace of a job, with their offers, oldest workspace first.
pub type Bindings = Vec<(RunnerId, Arc<Offer>)>;

/// The runner whose workspace a stage with this demand must use: the first one whose offer
/// meets the demand. None if the stage may run in a new workspace.
pub fn workspace_owner(bound: &Bindings, demand: &Demand) -> Option<RunnerId> {
    let owner = bound.iter().find(|(_, offer)| offer.meets(demand));
    owner.map(|(runner_id, _)| *runner_id)
}

/// A connected runner that has the labels that a stage requires.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub id: RunnerId,
    /// It takes only stages of jobs whose workspace it has.
    pub only_bound: bool,
    /// It supports the stage's action.
    pub is_capable: bool,
}

/// Why a ready stage waits, by the same rules as a claim.
pub fn waits_for(
    bound: &Bindings,
    demand: &Demand,
    candidates: impl Iterator<Item = Candidate>,
) -> PendingReason {
    let owner = workspace_owner(bound, demand);
    let mut reason = PendingReason::NoMatchingRunner;
    for candidate in candidates {
        let is_eligible = owner.map_or(!candidate.only_bound, |owner| owner == candidate.id);
        match (is_eligible, candidate.is_capable) {
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
    fn the_pending_reason_depends_on_the_candidates() {
        let demand = Demand {
            labels: Variables::new(),
            action: ActionKind::Command,
        };
        let candidate = |number, only_bound, is_capable| Candidate {
            id: RunnerId(Uuid::from_u128(number)),
            only_bound,
            is_capable,
        };
        let unbound = Bindings::new();
        let reason = |bound: &Bindings, candidates: &[Candidate]| {
            waits_for(bound, &demand, candidates.iter().copied())
        };
        assert_eq!(reason(&unbound, &[]), PendingReason::NoMatchingRunner);
        let incapable = candidate(1, false, false);
        assert_eq!(
            reason(&unbound, &[incapable]),
            PendingReason::NoCapableRunner
        );
        let draining = candidate(2, true, true);
        assert_eq!(
            reason(&unbound, &[draining]),
            PendingReason::NoMatchingRunner
        );
        let busy = candidate(3, false, true);
        assert_eq!(
            reason(&unbound, &[incapable, draining, busy]),
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
    fn an_offer_meets_a_demand_by_labels_and_actions() {
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
