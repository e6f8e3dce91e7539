//! Ordered indexes of what lists show, the newest last, so that a page is a walk
//! backwards from a place that a tree finds.

use std::{collections::BTreeSet, iter::Peekable};

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
    entries: BTreeSet<(JobKey, JobState, JobId)>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum JobKey {
    All,
    Project(String),
    Pipeline(PipelineId),
}

impl JobIndex {
    /// Puts a job where its state says, away from where it was before.
    pub(super) fn move_job(&mut self, job: &Job, before: Option<JobState>) {
        for key in job_keys(job) {
            if let Some(before) = before {
                self.entries.remove(&(key.clone(), before, job.id));
            }
            self.entries.insert((key, job.state, job.id));
        }
    }

    pub(super) fn remove(&mut self, job: &Job) {
        for key in job_keys(job) {
            self.entries.remove(&(key, job.state, job.id));
        }
    }

    /// Jobs in any of the filter's states under its narrowest key.
    pub(super) fn newest_first(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
    ) -> impl Iterator<Item = JobId> {
        let keys = match (&filter.pipeline_id, &filter.projects) {
            (Some(id), _) => vec![JobKey::Pipeline(*id)],
            (None, Some(projects)) => projects.iter().cloned().map(JobKey::Project).collect(),
            (None, None) => vec![JobKey::All],
        };
        let before = before.unwrap_or(JobId(Uuid::max()));
        let wanted = |state: &JobState| filter.states.is_empty() || filter.states.contains(state);
        let states: Vec<JobState> = JobState::ALL.into_iter().filter(wanted).collect();
        let in_states = keys
            .iter()
            .flat_map(|key| states.iter().map(move |state| (key, *state)));
        Merged::of(in_states.map(|(key, state)| {
            let first = (key.clone(), state, JobId(Uuid::nil()));
            let end = (key.clone(), state, before);
            self.entries.range(first..end).rev().map(|(_, _, id)| *id)
        }))
    }
}

fn job_keys(job: &Job) -> [JobKey; 3] {
    [
        JobKey::All,
        JobKey::Project(job.pipeline.project.clone()),
        JobKey::Pipeline(job.pipeline.id),
    ]
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
