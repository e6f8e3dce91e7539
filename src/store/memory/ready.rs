use std::collections::{BTreeSet, HashMap};

use crate::domain::{Job, JobId, QueueRank, RunKey, StageRun, has_labels};

use super::super::{Labels, ReadyStage};

/// Stages that wait for a runner, first come first within a rank, apart by the
/// labels that they ask for: a claim looks only at the heads of the queues that
/// the runner's labels open.
#[derive(Default)]
pub(super) struct ReadyQueue {
    by_labels: HashMap<Labels, BTreeSet<Place>>,
}

type Place = (QueueRank, JobId, RunKey);

impl ReadyQueue {
    pub(super) fn insert(&mut self, job: &Job, run: &StageRun) {
        if let Some(place) = place(job, run) {
            let labels = job.stage(run).runner_labels.clone();
            self.by_labels.entry(labels).or_default().insert(place);
        }
    }

    pub(super) fn remove(&mut self, job: &Job, run: &StageRun) {
        if let Some(place) = place(job, run) {
            self.take(&job.stage(run).runner_labels, place);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_labels.values().map(BTreeSet::len).sum()
    }

    /// Takes the first stage for which the labels are enough.
    pub(super) fn claim(&mut self, labels: &Labels) -> Option<ReadyStage> {
        let (wanted, place) = self
            .by_labels
            .iter()
            .filter(|(wanted, _)| has_labels(labels, wanted))
            .filter_map(|(wanted, queue)| Some((wanted, *queue.first()?)))
            .min_by_key(|(_, place)| *place)?;
        let wanted = wanted.clone();
        self.take(&wanted, place);
        let (_, job_id, run) = place;
        Some(ReadyStage { job_id, run })
    }

    fn take(&mut self, labels: &Labels, place: Place) {
        if let Some(queue) = self.by_labels.get_mut(labels) {
            queue.remove(&place);
            if queue.is_empty() {
                self.by_labels.remove(labels);
            }
        }
    }
}

/// None for a run that was never ready.
fn place(job: &Job, run: &StageRun) -> Option<Place> {
    let rank = QueueRank::new(run.queue_time?, job.priority);
    Some((rank, job.id, run.key()))
}
