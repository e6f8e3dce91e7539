use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::{
    domain::{Job, JobId, JobState, PipelineId},
    store::JobFilter,
};

use super::{Merged, is_among};

/// Jobs under each key by which they can be listed, apart by state.
#[derive(Default)]
pub(in super::super) struct JobIndex {
    all: JobLists,
    of_project: HashMap<String, JobLists>,
    of_pipeline: HashMap<PipelineId, JobLists>,
}

/// A list for each state, in the order of [`JobState::ALL`].
type JobLists = [BTreeSet<JobId>; JobState::ALL.len()];

impl JobIndex {
    /// Puts a job where its state says, away from where it was before.
    pub(in super::super) fn move_job(&mut self, job: &Job, before: Option<JobState>) {
        let Some(before) = before else {
            return self.insert(job);
        };
        self.change(job, |lists| {
            lists[before as usize].remove(&job.id);
            lists[job.state as usize].insert(job.id);
        });
    }

    pub(in super::super) fn remove(&mut self, job: &Job) {
        self.change(job, |lists| {
            lists[job.state as usize].remove(&job.id);
        });
        let is_empty = |lists: &mut JobLists| lists.iter().all(BTreeSet::is_empty);
        let (project, pipeline) = (&job.pipeline.project, job.pipeline.id);
        if self.of_project.get_mut(project).is_some_and(is_empty) {
            self.of_project.remove(project);
        }
        if self.of_pipeline.get_mut(&pipeline).is_some_and(is_empty) {
            self.of_pipeline.remove(&pipeline);
        }
    }

    pub(in super::super) fn has_project(&self, project: &str) -> bool {
        self.of_project.contains_key(project)
    }

    fn insert(&mut self, job: &Job) {
        let project = &job.pipeline.project;
        if !self.of_project.contains_key(project) {
            self.of_project.insert(project.clone(), JobLists::default());
        }
        self.of_pipeline.entry(job.pipeline.id).or_default();
        self.change(job, |lists| {
            lists[job.state as usize].insert(job.id);
        });
    }

    fn change(&mut self, job: &Job, change: impl Fn(&mut JobLists)) {
        change(&mut self.all);
        let of_project = self.of_project.get_mut(&job.pipeline.project);
        of_project.into_iter().for_each(&change);
        let of_pipeline = self.of_pipeline.get_mut(&job.pipeline.id);
        of_pipeline.into_iter().for_each(change);
    }

    /// Jobs in any of the filter's states under its narrowest key.
    pub(in super::super) fn newest_first(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
    ) -> impl Iterator<Item = JobId> {
        let of_projects = |projects: &BTreeSet<String>| {
            let known = projects.iter().map(|project| self.of_project.get(project));
            known.flatten().collect()
        };
        let found: Vec<&JobLists> = match (&filter.pipeline_id, &filter.projects) {
            (Some(id), _) => self.of_pipeline.get(id).into_iter().collect(),
            (None, Some(projects)) => of_projects(projects),
            (None, None) => vec![&self.all],
        };
        let before = before.unwrap_or(JobId(Uuid::max()));
        let wanted = |state: &JobState| filter.states.is_empty() || filter.states.contains(state);
        let states: Vec<JobState> = JobState::ALL.into_iter().filter(wanted).collect();
        let in_states = found
            .iter()
            .flat_map(|lists| states.iter().map(|state| &lists[*state as usize]));
        Merged::of(in_states.map(|list| list.range(..before).rev().copied()))
    }
}

impl JobFilter {
    /// The index told the state a moment ago; the job itself has the last word.
    pub(in crate::store) fn matches(&self, job: &Job) -> bool {
        is_among(&self.projects, &job.pipeline.project)
            && (self.states.is_empty() || self.states.contains(&job.state))
    }
}
