//! Ordered indexes of what lists show, the newest last, so that a page is a walk
//! backwards from a place that a tree finds.

use std::{
    collections::{BTreeSet, HashMap},
    iter::Peekable,
};

use uuid::Uuid;

use crate::domain::{Job, JobId, JobState, Pipeline, PipelineId};

use super::super::{JobFilter, PipelineFilter};

/// Pipelines under each key by which they can be listed.
#[derive(Default)]
pub(super) struct PipelineIndex {
    entries: BTreeSet<(PipelineKey, PipelineId)>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum PipelineKey {
    All,
    Project(String),
    Name(String),
    Repository(String),
    ProjectRepository(String, String),
}

impl PipelineIndex {
    pub(super) fn insert(&mut self, pipeline: &Pipeline) {
        let keys = pipeline_keys(pipeline).map(|key| (key, pipeline.id));
        self.entries.extend(keys);
    }

    pub(super) fn remove(&mut self, pipeline: &Pipeline) {
        for key in pipeline_keys(pipeline) {
            self.entries.remove(&(key, pipeline.id));
        }
    }

    /// Pipelines under the narrowest key of a filter; the rest of it is not yet looked at.
    pub(super) fn newest_first(
        &self,
        filter: &PipelineFilter,
        before: Option<PipelineId>,
    ) -> impl Iterator<Item = PipelineId> {
        let before = before.unwrap_or(PipelineId(Uuid::max()));
        let under = |key: PipelineKey| {
            let range = (key.clone(), PipelineId(Uuid::nil()))..(key, before);
            self.entries.range(range).rev().map(|(_, id)| *id)
        };
        Merged::of(narrowest_keys(filter).into_iter().map(under))
    }
}

fn pipeline_keys(pipeline: &Pipeline) -> impl Iterator<Item = PipelineKey> + use<> {
    let project = pipeline.project.clone();
    let repository = pipeline.spec.git_repository.clone();
    [
        PipelineKey::All,
        PipelineKey::Project(project.clone()),
        PipelineKey::Name(pipeline.spec.name.clone()),
        PipelineKey::Repository(repository.clone()),
        PipelineKey::ProjectRepository(project, repository),
    ]
    .into_iter()
}

/// The keys under which everything is that a filter matches, and the least else.
fn narrowest_keys(filter: &PipelineFilter) -> Vec<PipelineKey> {
    let repository = filter.git_repository.as_ref();
    match (&filter.name, &filter.projects) {
        (Some(name), _) => vec![PipelineKey::Name(name.clone())],
        (None, Some(projects)) => {
            let key = |project: &String| match repository {
                Some(repository) => {
                    PipelineKey::ProjectRepository(project.clone(), repository.clone())
                }
                None => PipelineKey::Project(project.clone()),
            };
            projects.iter().map(key).collect()
        }
        (None, None) => vec![match repository {
            Some(repository) => PipelineKey::Repository(repository.clone()),
            None => PipelineKey::All,
        }],
    }
}

impl PipelineFilter {
    pub(super) fn matches(&self, pipeline: &Pipeline) -> bool {
        let is = |wanted: &Option<String>, value: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        is_among(&self.projects, &pipeline.project)
            && is(&self.name, &pipeline.spec.name)
            && is(&self.git_repository, &pipeline.spec.git_repository)
    }
}

/// Jobs under each key by which they can be listed, apart by state.
#[derive(Default)]
pub(super) struct JobIndex {
    all: JobLists,
    of_project: HashMap<String, JobLists>,
    of_pipeline: HashMap<PipelineId, JobLists>,
}

/// A list for each state, in the order of [`JobState::ALL`].
type JobLists = [BTreeSet<JobId>; JobState::ALL.len()];

impl JobIndex {
    /// Puts a job where its state says, away from where it was before.
    pub(super) fn move_job(&mut self, job: &Job, before: Option<JobState>) {
        let Some(before) = before else {
            return self.insert(job);
        };
        self.change(job, |lists| {
            lists[before as usize].remove(&job.id);
            lists[job.state as usize].insert(job.id);
        });
    }

    pub(super) fn remove(&mut self, job: &Job) {
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
    pub(super) fn newest_first(
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
    pub(super) fn matches(&self, job: &Job) -> bool {
        is_among(&self.projects, &job.pipeline.project)
            && (self.states.is_empty() || self.states.contains(&job.state))
    }
}

fn is_among(wanted: &Option<BTreeSet<String>>, project: &str) -> bool {
    wanted
        .as_ref()
        .is_none_or(|wanted| wanted.contains(project))
}

/// One list out of several, each of which has its newest first.
struct Merged<List: Iterator> {
    lists: Vec<Peekable<List>>,
}

impl<List: Iterator> Merged<List> {
    fn of(lists: impl Iterator<Item = List>) -> Self {
        Self {
            lists: lists.map(Iterator::peekable).collect(),
        }
    }
}

impl<Id: Copy + Ord, List: Iterator<Item = Id>> Iterator for Merged<List> {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        let heads = self.lists.iter_mut().map(|list| {
            let head = list.peek().copied();
            (head, list)
        });
        let (_, newest) = heads.max_by_key(|(head, _)| *head)?;
        newest.next()
    }
}
