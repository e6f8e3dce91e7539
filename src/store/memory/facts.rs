use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::domain::{JobFacts, JobId};

use super::super::FactsFilter;

/// How long facts are kept.
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// Facts kept, at about 200 bytes each; beyond it the oldest go.
const MAX_FACTS: usize = 100_000;

/// Facts of ended jobs, in the order in which the jobs ended.
#[derive(Default)]
pub(super) struct Facts(VecDeque<Arc<JobFacts>>);

impl Facts {
    /// Keeps facts, and answers with those that had to go.
    pub(super) fn keep(&mut self, facts: Arc<JobFacts>) -> Vec<Arc<JobFacts>> {
        // Nearly always the last: commits of two jobs may change places on their way.
        let at = self
            .0
            .partition_point(|other| place(other) <= place(&facts));
        self.0.insert(at, facts);
        let newest = self.0.back().map(|facts| facts.end_time);
        let too_old = newest.and_then(|newest| newest.checked_sub(MAX_AGE));
        let mut removed = Vec::new();
        while let Some(oldest) = self.0.front()
            && (self.0.len() > MAX_FACTS || too_old.is_some_and(|time| oldest.end_time < time))
        {
            removed.extend(self.0.pop_front());
        }
        removed
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &JobFacts> {
        self.0.iter().map(|facts| &**facts)
    }

    pub(super) fn list(&self, filter: &FactsFilter) -> Vec<Arc<JobFacts>> {
        let since = filter.since.map_or(0, |time| self.first_at(time));
        let before = filter
            .before
            .map_or(self.0.len(), |time| self.first_at(time));
        let in_time = self.0.range(since.min(before)..before);
        in_time
            .filter(|facts| filter.matches(facts))
            .take(filter.limit)
            .cloned()
            .collect()
    }

    /// Position of the first that ended at a time or later.
    fn first_at(&self, time: SystemTime) -> usize {
        self.0.partition_point(|facts| facts.end_time < time)
    }
}

impl FactsFilter {
    fn matches(&self, facts: &JobFacts) -> bool {
        let is_project = |project: &String| *project == facts.project;
        self.project.as_ref().is_none_or(is_project)
            && self.pipeline_id.is_none_or(|id| id == facts.pipeline_id)
    }
}

fn place(facts: &JobFacts) -> (SystemTime, JobId) {
    (facts.end_time, facts.job_id)
}
