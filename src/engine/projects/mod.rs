//! Projects: what pipelines, and all that belongs to them, are grouped by.

use std::sync::Arc;

use crate::{
    domain::{DEFAULT_PROJECT, Project, Variables, validate},
    store::{
        Batch, CommitError, PipelineFilter, Precondition, RecordQuery, Records, Versioned, Write,
        collections,
    },
};

use super::{
    Call, Error, access,
    budgets::{Budgets, Scope},
    journal::{Answered, Conflicts, Journal, Plan},
};

/// A project with its version.
#[derive(Clone, Debug)]
pub struct ProjectEntry(Arc<Versioned<Project>>);

/// What clients may set of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectDraft {
    /// The slug that names it; fixed once it is made.
    pub name: String,
    /// For people.
    pub description: String,
    /// Client data, never interpreted.
    pub annotations: Variables,
}

/// A change of a project, worked out on what it is.
pub struct ProjectUpdate<'a> {
    /// Which project.
    pub name: &'a str,
    /// The etag of what the caller has read; empty for any.
    pub etag: &'a str,
    /// Gives what it is to be.
    pub change: &'a (dyn Fn(&Project) -> ProjectDraft + Send + Sync),
    /// Check everything and change nothing.
    pub validate_only: bool,
}

/// All that callers do with projects.
pub struct Projects {
    journal: Arc<Journal>,
    budgets: Arc<Budgets>,
    records: Records<collections::Projects>,
}

impl ProjectEntry {
    /// The project.
    pub fn project(&self) -> &Project {
        &self.0.value
    }

    /// Changes with every change of the project.
    pub fn etag(&self) -> String {
        self.0.version.to_string()
    }
}

impl Projects {
    pub(super) fn new(journal: Arc<Journal>, budgets: Arc<Budgets>) -> Self {
        let records = Records::new(Arc::clone(journal.store()));
        Self {
            journal,
            budgets,
            records,
        }
    }

    /// Makes the project that is always there.
    pub(super) async fn make_default(&self) -> Result<(), Error> {
        if self.records.get(DEFAULT_PROJECT).await?.is_some() {
            return Ok(());
        }
        let default = self.made(ProjectDraft::named(DEFAULT_PROJECT), String::new());
        let batch = Batch::of([Records::<collections::Projects>::put(&default, 0)]);
        match self.journal.commit(batch).await {
            // Another replica was first.
            Ok(()) | Err(CommitError::Conflict) => Ok(()),
            Err(error) => Conflicts::default().again(error).await,
        }
    }

    /// Makes a project.
    ///
    /// # Errors
    /// If it is not valid or exists, the caller may not, or the store fails.
    pub async fn create(
        &self,
        call: &Call,
        draft: ProjectDraft,
        validate_only: bool,
    ) -> Result<ProjectEntry, Error> {
        const METHOD: &str = "CreateProject";
        let attempt = || async {
            access::check_project(call, &draft.name)?;
            let violations =
                validate::project_draft(&draft.name, &draft.description, &draft.annotations);
            if !violations.is_empty() {
                return Err(Error::Invalid(violations));
            }
            let value = self.made(draft.clone(), call.principal().to_owned());
            let project = Arc::new(Versioned { value, version: 1 });
            let mut conflicts = Conflicts::default();
            loop {
                if self.records.get(&draft.name).await?.is_some() {
                    return Err(Error::ProjectExists(draft.name.clone()));
                }
                let answer = Answered::Project(Arc::clone(&project));
                if validate_only {
                    return Ok(answer);
                }
                let plan = Plan {
                    batch: Batch::of([Records::<collections::Projects>::put(&project.value, 0)]),
                    answer,
                };
                let scope = Scope::project(&draft.name);
                let answer = self
                    .budgets
                    .try_commit(call, METHOD, plan, scope, &mut conflicts);
                if let Some(answer) = answer.await? {
                    return Ok(answer);
                }
            }
        };
        project_of(self.journal.once(call, METHOD, attempt).await?)
    }

    /// A project.
    ///
    /// # Errors
    /// If there is none that the caller may see, or the store fails.
    pub async fn get(&self, call: &Call, name: &str) -> Result<ProjectEntry, Error> {
        access::check_project(call, name)?;
        let project = self.records.get(name).await?;
        let project = project.ok_or_else(|| Error::ProjectNotFound(name.to_owned()))?;
        Ok(ProjectEntry(Arc::new(project)))
    }

    /// The projects that the caller sees, in the order of their names, behind `after`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(
        &self,
        call: &Call,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<ProjectEntry>, Error> {
        if let Some(seen) = access::narrowed(&call.authority, None) {
            // Few: one grant each.
            let mut found = Vec::new();
            let behind = |name: &&String| after.as_ref().is_none_or(|after| *name > after);
            for name in seen.iter().filter(behind) {
                if found.len() == limit {
                    break;
                }
                found.extend(self.records.get(name).await?);
            }
            return Ok(found.into_iter().map(entry).collect());
        }
        let query = RecordQuery {
            after: after.map(|name| (String::new(), name)),
            limit,
            ..RecordQuery::default()
        };
        let found = self.records.list(query).await?;
        Ok(found.into_iter().map(entry).collect())
    }

    /// Changes a project.
    ///
    /// # Errors
    /// If there is none that the caller may see, the change is not valid, the etag is not its
    /// own, the caller may not, or the store fails.
    pub async fn update(
        &self,
        call: &Call,
        update: ProjectUpdate<'_>,
    ) -> Result<ProjectEntry, Error> {
        const METHOD: &str = "UpdateProject";
        let attempt = || async {
            let mut conflicts = Conflicts::default();
            loop {
                let current = self.get(call, update.name).await?;
                check_etag(&current, update.etag)?;
                let changed = self.changed(&current, &update)?;
                if update.validate_only {
                    return Ok(Answered::Project(changed));
                }
                // Without a change, too, the request id is noted.
                let is_changed = changed.version > current.0.version;
                let put = Records::<collections::Projects>::put(&changed.value, current.0.version);
                let plan = Plan {
                    batch: Batch::of(is_changed.then_some(put)),
                    answer: Answered::Project(changed),
                };
                let scope = Scope {
                    owner: Some(&current.project().creator),
                    ..Scope::project(update.name)
                };
                let answer = self
                    .budgets
                    .try_commit(call, METHOD, plan, scope, &mut conflicts);
                if let Some(answer) = answer.await? {
                    return Ok(answer);
                }
            }
        };
        project_of(self.journal.once(call, METHOD, attempt).await?)
    }

    /// Deletes a project that has neither pipelines nor kept jobs.
    ///
    /// # Errors
    /// If there is none that the caller may see, it is not empty, it is the one that is always
    /// there, the etag is not its own, the caller may not, or the store fails.
    pub async fn delete(&self, call: &Call, name: &str, etag: &str) -> Result<(), Error> {
        const METHOD: &str = "DeleteProject";
        let attempt = || async {
            let mut conflicts = Conflicts::default();
            loop {
                let current = self.get(call, name).await?;
                if name == DEFAULT_PROJECT {
                    return Err(Error::ProjectPermanent(name.to_owned()));
                }
                check_etag(&current, etag)?;
                self.check_empty(name).await?;
                let delete = Records::<collections::Projects>::delete(name, current.0.version);
                let plan = Plan {
                    batch: Batch {
                        preconditions: vec![Precondition::ProjectIsEmpty(name.to_owned())],
                        ..Batch::of([delete])
                    },
                    answer: Answered::Nothing,
                };
                let answer = self.journal.try_commit(call, METHOD, plan, &mut conflicts);
                if let Some(answer) = answer.await? {
                    return Ok(answer);
                }
            }
        };
        self.journal.once(call, METHOD, attempt).await.map(drop)
    }

    /// Has a batch that adds to a project make the project too, if it is only named, or fail
    /// if it goes in between.
    pub(super) async fn join(
        &self,
        call: &Call,
        name: &str,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let store = self.journal.store();
        let version = store.record_version(collections::PROJECTS, name).await?;
        if version == 0 {
            let project = self.made(ProjectDraft::named(name), call.principal().to_owned());
            let put: Write = Records::<collections::Projects>::put(&project, 0);
            batch.writes.push(put);
        } else {
            batch.preconditions.push(Precondition::RecordVersion {
                collection: collections::PROJECTS,
                key: name.to_owned(),
                version,
            });
        }
        Ok(())
    }

    fn made(&self, draft: ProjectDraft, creator: String) -> Project {
        let now = self.journal.environment().now();
        Project {
            name: draft.name,
            description: draft.description,
            annotations: draft.annotations,
            creator,
            create_time: now,
            update_time: now,
        }
    }

    fn changed(
        &self,
        current: &ProjectEntry,
        update: &ProjectUpdate<'_>,
    ) -> Result<Arc<Versioned<Project>>, Error> {
        let project = current.project();
        let ProjectDraft {
            name: _,
            description,
            annotations,
        } = (update.change)(project);
        let violations = validate::project_draft(&project.name, &description, &annotations);
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        if (&description, &annotations) == (&project.description, &project.annotations) {
            return Ok(Arc::clone(&current.0));
        }
        let value = Project {
            description,
            annotations,
            update_time: self.journal.environment().now(),
            ..project.clone()
        };
        let version = current.0.version + 1;
        Ok(Arc::new(Versioned { value, version }))
    }

    async fn check_empty(&self, name: &str) -> Result<(), Error> {
        const COUNTED: usize = 1_000;
        let store = self.journal.store();
        let projects = Some(std::collections::BTreeSet::from([name.to_owned()]));
        let filter = PipelineFilter {
            projects: projects.clone(),
            ..PipelineFilter::default()
        };
        let pipelines = store.list_pipelines(&filter, None, COUNTED).await?.len();
        let filter = crate::store::JobFilter {
            projects,
            ..Default::default()
        };
        let has_jobs = !store.list_jobs(&filter, None, 1).await?.is_empty();
        if pipelines > 0 || has_jobs {
            return Err(Error::ProjectNotEmpty {
                name: name.to_owned(),
                pipelines,
            });
        }
        Ok(())
    }
}

impl ProjectDraft {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

fn entry(project: Versioned<Project>) -> ProjectEntry {
    ProjectEntry(Arc::new(project))
}

fn check_etag(project: &ProjectEntry, etag: &str) -> Result<(), Error> {
    let current = project.etag();
    if etag.is_empty() || etag == current {
        return Ok(());
    }
    Err(Error::ProjectEtagMismatch {
        name: project.project().name.clone(),
        current,
    })
}

/// Answers are kept by method, so one to a project's call is a project.
fn project_of(answer: Answered) -> Result<ProjectEntry, Error> {
    match answer {
        Answered::Project(project) => Ok(ProjectEntry(project)),
        Answered::Nothing | Answered::Job(_) | Answered::Pipeline(_) => Err(Error::RequestIdReused),
    }
}
