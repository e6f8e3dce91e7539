use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::{
    domain::{Pipeline, PipelineId},
    store::PipelineFilter,
};

use super::{Merged, is_among};

/// Pipelines under each key by which they can be listed.
#[derive(Default)]
pub(in super::super) struct PipelineIndex {
    all: List,
    of_project: Lists,
    of_repository: Lists,
    /// By project, then by repository.
    of_both: HashMap<String, Lists>,
    /// Few have the same name, so that a list for each would mostly be overhead.
    named: BTreeSet<(String, PipelineId)>,
}

type List = BTreeSet<PipelineId>;

/// The lists of the values of one key; none is empty.
#[derive(Default)]
struct Lists(HashMap<String, List>);

impl PipelineIndex {
    pub(in super::super) fn insert(&mut self, pipeline: &Pipeline) {
        let (id, project) = (pipeline.id, &pipeline.project);
        let repository = &pipeline.spec.git_repository;
        self.all.insert(id);
        self.of_project.insert(project, id);
        self.of_repository.insert(repository, id);
        if !self.of_both.contains_key(project) {
            self.of_both.insert(project.clone(), Lists::default());
        }
        let of_both = self.of_both.get_mut(project);
        of_both
            .into_iter()
            .for_each(|lists| lists.insert(repository, id));
        self.named.insert((pipeline.spec.name.clone(), id));
    }

    pub(in super::super) fn remove(&mut self, pipeline: &Pipeline) {
        let (id, project) = (pipeline.id, &pipeline.project);
        let repository = &pipeline.spec.git_repository;
        self.all.remove(&id);
        self.of_project.remove(project, id);
        self.of_repository.remove(repository, id);
        if let Some(of_both) = self.of_both.get_mut(project) {
            of_both.remove(repository, id);
            if of_both.0.is_empty() {
                self.of_both.remove(project);
            }
        }
        self.named.remove(&(pipeline.spec.name.clone(), id));
    }

    pub(in super::super) fn has_project(&self, project: &str) -> bool {
        self.of_project.get(project).is_some()
    }

    /// Puts a pipeline where its newest revision belongs. Most leave it where it is.
    pub(in super::super) fn revise(&mut self, old: &Pipeline, new: &Pipeline) {
        let (was, is) = (&old.spec, &new.spec);
        if (&was.name, &was.git_repository) != (&is.name, &is.git_repository) {
            self.remove(old);
            self.insert(new);
        }
    }

    /// Pipelines under the narrowest key of a filter; its other conditions are not checked yet.
    pub(in super::super) fn newest_first<'a>(
        &'a self,
        filter: &PipelineFilter,
        before: Option<PipelineId>,
    ) -> Box<dyn Iterator<Item = PipelineId> + 'a> {
        let before = before.unwrap_or(PipelineId(Uuid::max()));
        if let Some(name) = &filter.name {
            let range = (name.clone(), PipelineId(Uuid::nil()))..(name.clone(), before);
            return Box::new(self.named.range(range).rev().map(|(_, id)| *id));
        }
        let lists = self.narrowest(filter).into_iter();
        Box::new(Merged::of(
            lists.map(move |list| list.range(..before).rev().copied()),
        ))
    }

    /// The lists in which everything is that a filter matches, and the least else.
    fn narrowest(&self, filter: &PipelineFilter) -> Vec<&List> {
        match (&filter.projects, &filter.git_repository) {
            (None, None) => vec![&self.all],
            (None, Some(repository)) => self.of_repository.get(repository).into_iter().collect(),
            (Some(projects), None) => {
                let lists = projects.iter().map(|project| self.of_project.get(project));
                lists.flatten().collect()
            }
            (Some(projects), Some(repository)) => {
                let of_both = projects
                    .iter()
                    .filter_map(|project| self.of_both.get(project));
                of_both.filter_map(|lists| lists.get(repository)).collect()
            }
        }
    }
}

impl Lists {
    fn get(&self, key: &str) -> Option<&List> {
        self.0.get(key)
    }

    fn insert(&mut self, key: &str, id: PipelineId) {
        match self.0.get_mut(key) {
            Some(list) => {
                list.insert(id);
            }
            None => {
                self.0.insert(key.to_owned(), BTreeSet::from([id]));
            }
        }
    }

    fn remove(&mut self, key: &str, id: PipelineId) {
        let Some(list) = self.0.get_mut(key) else {
            return;
        };
        list.remove(&id);
        if list.is_empty() {
            self.0.remove(key);
        }
    }
}

impl PipelineFilter {
    pub(in super::super) fn matches(&self, pipeline: &Pipeline) -> bool {
        let is = |wanted: &Option<String>, value: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        is_among(&self.projects, &pipeline.project)
            && is(&self.name, &pipeline.spec.name)
            && is(&self.git_repository, &pipeline.spec.git_repository)
    }
}
