use std::{collections::BTreeSet, sync::Arc};

use tokio::task;

use crate::{
    domain::{
        CancelCause, Cancellation, Command, Pipeline, PipelineId, PipelineSpec, Violation, decide,
    },
    store::{Answer, Batch, JobWrite, PipelineFilter, PipelineState, PipelineWrite},
};

use super::{Call, Engine, Error, access, commit::Plan};

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

impl Engine {
    /// Makes a pipeline.
    pub async fn create_pipeline(
        &self,
        call: &Call,
        project: String,
        spec: PipelineSpec,
        validate_only: bool,
    ) -> Result<Arc<Pipeline>, Error> {
        const METHOD: &str = "CreatePipeline";
        let attempt = || async {
            access::check_project(call, &project)?;
            let now = self.now();
            let id = PipelineId(self.ids.next(now));
            let pipeline = Pipeline::new(id, project, spec, call.principal().to_owned(), now)
                .map(Arc::new)
                .map_err(Error::Invalid)?;
            let plan = || Plan {
                batch: pipeline_batch(PipelineWrite::Create(Arc::clone(&pipeline))),
                answer: Answer::Pipeline(Arc::clone(&pipeline)),
            };
            if validate_only {
                self.check_name(&pipeline).await?;
                return Ok(plan().answer);
            }
            loop {
                if let Some(answer) = self.try_commit(call, METHOD, plan()).await? {
                    return Ok(answer);
                }
            }
        };
        self.once(call, METHOD, attempt).await.and_then(pipeline_of)
    }

    /// A pipeline as it is, or as it was at a revision.
    pub async fn get_pipeline(
        &self,
        call: &Call,
        id: PipelineId,
        revision: Option<i64>,
    ) -> Result<Arc<Pipeline>, Error> {
        let newest = self.pipeline_for(call, id).await?.pipeline;
        self.revision_of(newest, revision).await
    }

    /// The newest pipelines that a filter matches and the caller sees, older than `before`.
    pub async fn list_pipelines(
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
        Ok(self.store.list_pipelines(&filter, before, limit).await?)
    }

    /// Changes a pipeline; one that already is so makes no revision.
    pub async fn update_pipeline(
        &self,
        call: &Call,
        update: Update<'_>,
    ) -> Result<Arc<Pipeline>, Error> {
        const METHOD: &str = "UpdatePipeline";
        let attempt = || async {
            loop {
                let state = self.pipeline_for(call, update.id).await?;
                let plan = self.plan_update(&update, state)?;
                if update.validate_only {
                    let pipeline = pipeline_of(plan.answer)?;
                    self.check_name(&pipeline).await?;
                    return Ok(Answer::Pipeline(pipeline));
                }
                if let Some(answer) = self.try_commit(call, METHOD, plan).await? {
                    return Ok(answer);
                }
            }
        };
        self.once(call, METHOD, attempt).await.and_then(pipeline_of)
    }

    /// Deletes a pipeline, its active jobs too if it is forced to.
    pub async fn delete_pipeline(
        &self,
        call: &Call,
        id: PipelineId,
        etag: &str,
        force: bool,
    ) -> Result<(), Error> {
        const METHOD: &str = "DeletePipeline";
        let attempt = || async {
            loop {
                let state = self.pipeline_for(call, id).await?;
                let plan = self.plan_delete(call, state, etag, force).await?;
                if let Some(answer) = self.try_commit(call, METHOD, plan).await? {
                    return Ok(answer);
                }
            }
        };
        self.once(call, METHOD, attempt).await.map(drop)
    }

    async fn plan_delete(
        &self,
        call: &Call,
        state: PipelineState,
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
        Ok(Plan {
            batch: Batch {
                jobs: self.cancel_all(id, &cancellation).await?,
                ..pipeline_batch(PipelineWrite::Delete(id, state.version))
            },
            answer: Answer::Deleted,
        })
    }

    pub(super) async fn load_pipeline(&self, id: PipelineId) -> Result<PipelineState, Error> {
        let state = self.store.pipeline(id).await?;
        state.ok_or_else(|| Error::PipelineNotFound(id.to_string()))
    }

    pub(super) async fn revision_of(
        &self,
        newest: Arc<Pipeline>,
        revision: Option<i64>,
    ) -> Result<Arc<Pipeline>, Error> {
        let Some(revision) = revision else {
            return Ok(newest);
        };
        let found = self.store.revision(newest.id, revision).await?;
        found.ok_or_else(|| Error::RevisionNotFound {
            id: newest.id.to_string(),
            revision,
        })
    }

    /// The writes that cancel those of a pipeline's active jobs that still can be.
    pub(super) async fn cancel_all(
        &self,
        id: PipelineId,
        cancellation: &Cancellation,
    ) -> Result<Vec<JobWrite>, Error> {
        // There may be a thousand: others on the caller's connection have their turn first.
        task::yield_now().await;
        let mut writes = Vec::new();
        for id in self.store.active_jobs(id).await? {
            let Some(job) = self.store.job(id).await? else {
                continue;
            };
            let decision = decide(&job, Command::Cancel(cancellation.clone()), self.now());
            if let Ok(decision) = decision
                && !decision.events.is_empty()
            {
                writes.push(JobWrite {
                    job: Arc::new(decision.job),
                    events: decision.events,
                });
            }
        }
        Ok(writes)
    }

    fn plan_update(&self, update: &Update<'_>, state: PipelineState) -> Result<Plan, Error> {
        check_etag(&state.pipeline, update.etag)?;
        let spec = (update.change)(&state.pipeline).map_err(Error::Invalid)?;
        let revised = state
            .pipeline
            .revised(spec, self.now())
            .map_err(Error::Invalid)?;
        Ok(match revised.map(Arc::new) {
            None => Plan {
                batch: Batch::default(),
                answer: Answer::Pipeline(state.pipeline),
            },
            Some(revised) => Plan {
                batch: pipeline_batch(PipelineWrite::Revise(Arc::clone(&revised), state.version)),
                answer: Answer::Pipeline(revised),
            },
        })
    }

    /// Refuses a name that another pipeline has, where no commit would.
    async fn check_name(&self, pipeline: &Pipeline) -> Result<(), Error> {
        let filter = PipelineFilter {
            projects: Some(BTreeSet::from([pipeline.project.clone()])),
            name: Some(pipeline.spec.name.clone()),
            git_repository: None,
        };
        let namesakes = self.store.list_pipelines(&filter, None, 1).await?;
        match namesakes.iter().any(|other| other.id != pipeline.id) {
            false => Ok(()),
            true => Err(Error::NameTaken {
                project: pipeline.project.clone(),
                name: pipeline.spec.name.clone(),
            }),
        }
    }
}

fn pipeline_batch(write: PipelineWrite) -> Batch {
    Batch {
        pipeline: Some(write),
        ..Batch::default()
    }
}

fn check_etag(pipeline: &Pipeline, etag: &str) -> Result<(), Error> {
    let current = pipeline.etag();
    match etag.is_empty() || etag == current {
        true => Ok(()),
        false => Err(Error::EtagMismatch {
            id: pipeline.id.to_string(),
            current,
        }),
    }
}

/// Answers are kept by method, so one to a pipeline's call is a pipeline.
fn pipeline_of(answer: Answer) -> Result<Arc<Pipeline>, Error> {
    match answer {
        Answer::Pipeline(pipeline) => Ok(pipeline),
        Answer::Deleted | Answer::Job(_) => Err(Error::RequestIdReused),
    }
}
