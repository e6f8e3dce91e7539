//! Pipelines: made, changed and deleted, each under its project.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    domain::{CancelCause, Cancellation, Pipeline, PipelineId, PipelineSpec, Violation},
    store::{Batch, PipelineFilter, PipelineState, PipelineWrite, Write},
};

use super::{
    Call, Error, access,
    budgets::{Budgets, Scope},
    jobs::Jobs,
    journal::{Answered, Conflicts, Journal, Plan},
    projects::Projects,
};

/// All that callers do with pipelines, but for starting their jobs.
pub struct Pipelines {
    journal: Arc<Journal>,
    budgets: Arc<Budgets>,
    jobs: Arc<Jobs>,
    projects: Arc<Projects>,
}

/// A change of a pipeline's spec, worked out on the newest revision.
pub struct Update<'a> {
    /// Which pipeline.
    pub id: PipelineId,
    /// The etag of what the caller has read; empty for any.
    pub etag: &'a str,
    /// Gives the new spec, or what is wrong with it.
    pub change: &'a (dyn Fn(&Pipeline) -> Result<PipelineSpec, Vec<Violation>> + Send + Sync),
    /// Check everything and change nothing.
    pub validate_only: bool,
}

impl Pipelines {
    pub(super) fn new(
        journal: Arc<Journal>,
        budgets: Arc<Budgets>,
        jobs: Arc<Jobs>,
        projects: Arc<Projects>,
    ) -> Self {
        Self {
            journal,
            budgets,
            jobs,
            projects,
        }
    }

    /// Makes a pipeline, and its project if there is none of that name.
    ///
    /// # Errors
    /// If the spec is not valid, the name is taken, the caller may not, or the store fails.
    pub async fn create(
        &self,
        call: &Call,
        project: String,
        spec: PipelineSpec,
        validate_only: bool,
    ) -> Result<Arc<Pipeline>, Error> {
        const METHOD: &str = "CreatePipeline";
        let attempt = || async {
            access::check_project(call, &project)?;
            let environment = self.journal.environment();
            let id = PipelineId(environment.new_id());
            let creator = call.principal().to_owned();
            let pipeline = Pipeline::new(id, project, spec, creator, environment.now())
                .map(Arc::new)
                .map_err(Error::Invalid)?;
            let secrets = &pipeline.spec.secret_variables;
            self.journal.check_can_seal(secrets)?;
            if validate_only {
                self.check_name(&pipeline).await?;
                return Ok(Answered::Pipeline(pipeline));
            }
            let mut conflicts = Conflicts::default();
            loop {
                let create = PipelineWrite::Create(Arc::clone(&pipeline));
                let mut batch = Batch::of([Write::Pipeline(create)]);
                self.projects
                    .join(call, &pipeline.project, &mut batch)
                    .await?;
                let answer = Answered::Pipeline(Arc::clone(&pipeline));
                let plan = Plan { batch, answer };
                let scope = Scope::project(&pipeline.project);
                let answer = self
                    .budgets
                    .try_commit(call, METHOD, plan, scope, &mut conflicts);
                if let Some(answer) = answer.await? {
                    return Ok(answer);
                }
            }
        };
        pipeline_of(self.journal.once(call, METHOD, attempt).await?)
    }

    /// A pipeline as it is, or as it was at a revision.
    ///
    /// # Errors
    /// If there is none that the caller may see, or the store fails.
    pub async fn get(
        &self,
        call: &Call,
        id: PipelineId,
        revision: Option<i64>,
    ) -> Result<Arc<Pipeline>, Error> {
        let newest = self.journal.pipeline_for(call, id).await?.pipeline;
        self.journal.revision_of(newest, revision).await
    }

    /// The newest pipelines that a filter matches and the caller sees, older than `before`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(
        &self,
        call: &Call,
        filter: PipelineFilter,
        before: Option<PipelineId>,
        limit: usize,
    ) -> Result<Vec<Arc<Pipeline>>, Error> {
        let filter = PipelineFilter {
            projects: access::narrowed(&call.authority, filter.projects),
            ..filter
        };
        let store = self.journal.store();
        Ok(store.list_pipelines(&filter, before, limit).await?)
    }

    /// Changes a pipeline; one that already is so makes no revision.
    ///
    /// # Errors
    /// If the spec is not valid, the name is taken, the etag is not its own, the caller may
    /// not, or the store fails.
    pub async fn update(&self, call: &Call, update: Update<'_>) -> Result<Arc<Pipeline>, Error> {
        const METHOD: &str = "UpdatePipeline";
        let attempt = || async {
            let mut conflicts = Conflicts::default();
            loop {
                let state = self.journal.pipeline_for(call, update.id).await?;
                let newest = Arc::clone(&state.pipeline);
                let plan = self.plan_update(&update, state)?;
                if update.validate_only {
                    let pipeline = pipeline_of(plan.answer)?;
                    self.check_name(&pipeline).await?;
                    return Ok(Answered::Pipeline(pipeline));
                }
                let scope = Scope {
                    owner: Some(&newest.creator),
                    revised: Some(newest.id),
                    ..Scope::project(&newest.project)
                };
                let answer = self
                    .budgets
                    .try_commit(call, METHOD, plan, scope, &mut conflicts);
                if let Some(answer) = answer.await? {
                    return Ok(answer);
                }
            }
        };
        pipeline_of(self.journal.once(call, METHOD, attempt).await?)
    }

    /// Deletes a pipeline, its active jobs too if it is forced to.
    ///
    /// # Errors
    /// If it has active jobs and is not forced, the etag is not its own, the caller may not,
    /// or the store fails.
    pub async fn delete(
        &self,
        call: &Call,
        id: PipelineId,
        etag: &str,
        force: bool,
    ) -> Result<(), Error> {
        const METHOD: &str = "DeletePipeline";
        let attempt = || async {
            let mut conflicts = Conflicts::default();
            loop {
                let state = self.journal.pipeline_for(call, id).await?;
                let plan = self.plan_delete(call, &state, etag, force).await?;
                let answer = self.journal.try_commit(call, METHOD, plan, &mut conflicts);
                if let Some(answer) = answer.await? {
                    return Ok(answer);
                }
            }
        };
        self.journal.once(call, METHOD, attempt).await.map(drop)
    }

    async fn plan_delete(
        &self,
        call: &Call,
        state: &PipelineState,
        etag: &str,
        force: bool,
    ) -> Result<Plan, Error> {
        let id = state.pipeline.id;
        check_etag(&state.pipeline, etag)?;
        if !force && state.active_jobs > 0 {
            return Err(Error::PipelineActive {
                id: id.to_string(),
                active: state.active_jobs,
            });
        }
        let cancellation = Cancellation {
            cause: CancelCause::PipelineDeleted,
            reason: String::new(),
            principal: call.principal().to_owned(),
        };
        let mut writes = vec![Write::Pipeline(PipelineWrite::Delete(id, state.version))];
        writes.extend(self.jobs.cancel_all(call, id, &cancellation).await?);
        Ok(Plan {
            batch: Batch::of(writes),
            answer: Answered::Nothing,
        })
    }

    fn plan_update(&self, update: &Update<'_>, state: PipelineState) -> Result<Plan, Error> {
        check_etag(&state.pipeline, update.etag)?;
        let spec = (update.change)(&state.pipeline).map_err(Error::Invalid)?;
        let now = self.journal.environment().now();
        let revised = state.pipeline.revised(spec, now).map_err(Error::Invalid)?;
        Ok(match revised.map(Arc::new) {
            None => Plan {
                batch: Batch::default(),
                answer: Answered::Pipeline(state.pipeline),
            },
            Some(revised) => {
                let secrets = &revised.spec.secret_variables;
                self.journal.check_can_seal(secrets)?;
                let revise = PipelineWrite::Revise(Arc::clone(&revised), state.version);
                Plan {
                    batch: Batch::of([Write::Pipeline(revise)]),
                    answer: Answered::Pipeline(revised),
                }
            }
        })
    }

    /// Refuses a name that another pipeline has, where no commit would.
    async fn check_name(&self, pipeline: &Pipeline) -> Result<(), Error> {
        let filter = PipelineFilter {
            projects: Some(BTreeSet::from([pipeline.project.clone()])),
            name: Some(pipeline.spec.name.clone()),
            git_repository: None,
        };
        let namesakes = self
            .journal
            .store()
            .list_pipelines(&filter, None, 1)
            .await?;
        match namesakes.iter().find(|other| other.id != pipeline.id) {
            Some(other) => Err(Error::NameTaken {
                project: pipeline.project.clone(),
                name: pipeline.spec.name.clone(),
                owner: other.id,
            }),
            None => Ok(()),
        }
    }
}

fn check_etag(pipeline: &Pipeline, etag: &str) -> Result<(), Error> {
    let current = pipeline.etag();
    if etag.is_empty() || etag == current {
        return Ok(());
    }
    Err(Error::EtagMismatch {
        id: pipeline.id.to_string(),
        current,
    })
}

/// Answers are kept by method, so one to a pipeline's call is a pipeline.
fn pipeline_of(answer: Answered) -> Result<Arc<Pipeline>, Error> {
    match answer {
        Answered::Pipeline(pipeline) => Ok(pipeline),
        Answered::Nothing | Answered::Job(_) | Answered::Project(_) => Err(Error::RequestIdReused),
    }
}
