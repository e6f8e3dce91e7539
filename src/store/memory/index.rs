//! Ordered indexes of what lists show, the newest last, so that a page is a walk
//! backwards from a place that a tree finds.

use std::{
    collections::{BTreeSet, btree_set},
    iter::{Peekable, Rev},
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
        let key = narrowest_key(filter);
        let first = (key.clone(), PipelineId(Uuid::nil()));
        let end = (key, before.unwrap_or(PipelineId(Uuid::max())));
        self.entries.range(first..end).rev().map(|(_, id)| *id)
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

fn narrowest_key(filter: &PipelineFilter) -> PipelineKey {
    match (&filter.name, &filter.project, &filter.git_repository) {
        (Some(name), _, _) => PipelineKey::Name(name.clone()),
        (None, Some(project), Some(repository)) => {
            PipelineKey::ProjectRepository(project.clone(), repository.clone())
        }
        (None, Some(project), None) => PipelineKey::Project(project.clone()),
        (None, None, Some(repository)) => PipelineKey::Repository(repository.clone()),
        (None, None, None) => PipelineKey::All,
    }
}

impl PipelineFilter {
    pub(super) fn matches(&self, pipeline: &Pipeline) -> bool {
        let is = |wanted: &Option<String>, value: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        is(&self.project, &pipeline.project)
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
        let key = match (&filter.pipeline_id, &filter.project) {
            (Some(id), _) => JobKey::Pipeline(*id),
            (None, Some(project)) => JobKey::Project(project.clone()),
            (None, None) => JobKey::All,
        };
        let end = before.unwrap_or(JobId(Uuid::max()));
        let range = |state: &JobState| {
            let first = (key.clone(), *state, JobId(Uuid::nil()));
            let end = (key.clone(), *state, end);
            self.entries.range(first..end).rev().peekable()
        };
        let wanted = |state: &&JobState| filter.states.is_empty() || filter.states.contains(state);
        let of_state = JobState::ALL.iter().filter(wanted).map(range).collect();
        Merged { of_state }
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
        let is_in_project = self
            .project
            .as_ref()
            .is_none_or(|project| *project == job.pipeline.project);
        is_in_project && (self.states.is_empty() || self.states.contains(&job.state))
    }
}

type NewestFirst<'a> = Peekable<Rev<btree_set::Range<'a, (JobKey, JobState, JobId)>>>;

/// One list out of one per state, the newest first.
struct Merged<'a> {
    of_state: Vec<NewestFirst<'a>>,
}

impl Iterator for Merged<'_> {
    type Item = JobId;

    fn next(&mut self) -> Option<JobId> {
        let heads = self.of_state.iter_mut().map(|list| {
            let head = list.peek().map(|(_, _, id)| *id);
            (head, list)
        });
        let (_, newest) = heads.max_by_key(|(head, _)| *head)?;
        newest.next().map(|(_, _, id)| *id)
    }
}
