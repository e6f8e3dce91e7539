use std::sync::Arc;

use crate::{
    domain::{
        Admission, CancelCause, Cancellation, Job, JobId, NewJob, Pipeline, PipelineId, RetryScope,
        Secrets, StageRun, Trigger, TriggerSource, Variables, admission, create, retried_runs,
        stage_weights, validate,
    },
    engine::{
        Call, Error, access,
        budgets::Scope,
        journal::{Answered, Conflicts, Plan, write_of},
    },
    store::{Batch, PipelineState, PipelineWrite, Write},
};

use super::Jobs;

/// What starts a job.
#[derive(Clone, Debug)]
pub struct TriggerRequest {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// Revision to run; the newest when none.
    pub revision: Option<i64>,
    /// Ref to check out; the pipeline's default when empty.
    pub git_ref: String,
    /// Wins over the pipeline's and the stages' variables.
    pub variables: Variables,
    /// More of them; never shown.
    pub secret_variables: Secrets,
    /// Higher runs earlier.
    pub priority: i32,
    /// Check everything and start nothing.
    pub validate_only: bool,
}

impl Jobs {
    /// Starts a job.
    ///
    /// # Errors
    /// If the request is not valid, the caller may not, a limit is reached, the engine is
    /// stopping, or the store fails.
    pub async fn trigger(&self, call: &Call, request: TriggerRequest) -> Result<Arc<Job>, Error> {
        const METHOD: &str = "TriggerPipeline";
        let attempt = || async {
            let violations = validate::trigger(
                &request.git_ref,
                &request.variables,
                &request.secret_variables,
                request.priority,
            );
            if !violations.is_empty() {
                return Err(Error::Invalid(violations));
            }
            let mut conflicts = Conflicts::default();
            loop {
                let state = self.journal.pipeline_for(call, request.pipeline_id).await?;
                let new = self.triggered(call, &request, &state).await?;
                access::check_deploy(call, &new.pipeline)?;
                let plan = self.plan(call, &state, new).await?;
                if request.validate_only {
                    return Ok(plan.answer);
                }
                let scope = Scope::project(&state.pipeline.project);
                let answer = self
                    .budgets
                    .try_commit(call, METHOD, plan, scope, &mut conflicts);
                if let Some(answer) = answer.await? {
                    return Ok(answer);
                }
            }
        };
        job_of(self.journal.once(call, METHOD, attempt).await?)
    }

    /// Starts a job that repeats an ended one.
    ///
    /// # Errors
    /// As [`trigger`](Self::trigger); and if the job has not ended, or has nothing to repeat.
    pub async fn retry(
        &self,
        call: &Call,
        id: JobId,
        scope: RetryScope,
    ) -> Result<Arc<Job>, Error> {
        const METHOD: &str = "RetryJob";
        let attempt = || async {
            let mut conflicts = Conflicts::default();
            loop {
                let job = self.for_call(call, id).await?;
                access::check_deploy(call, &job.pipeline)?;
                let state = self.journal.store().pipeline(job.pipeline.id).await?;
                let state = state.ok_or_else(|| Error::PipelineDeleted(id.to_string()));
                let new = self.retried(call, &job, scope, state.as_ref().ok())?;
                let state = state?;
                let plan = self.plan(call, &state, new).await?;
                if matches!(&plan.answer, Answered::Job(job) if job.state.is_terminal()) {
                    // Each stage that would run again is skipped by its condition.
                    return Err(Error::NothingToRetry(id.to_string()));
                }
                let scope = Scope::project(&state.pipeline.project);
                let answer = self
                    .budgets
                    .try_commit(call, METHOD, plan, scope, &mut conflicts);
                if let Some(answer) = answer.await? {
                    return Ok(answer);
                }
            }
        };
        job_of(self.journal.once(call, METHOD, attempt).await?)
    }

    async fn triggered(
        &self,
        call: &Call,
        request: &TriggerRequest,
        state: &PipelineState,
    ) -> Result<NewJob, Error> {
        let newest = Arc::clone(&state.pipeline);
        let pipeline = self.journal.revision_of(newest, request.revision).await?;
        let violations = validate::trigger_of(&request.git_ref, &pipeline.spec);
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let git_ref = if request.git_ref.is_empty() {
            pipeline.spec.default_ref.clone()
        } else {
            request.git_ref.clone()
        };
        let stages = 0..pipeline.spec.stages.len();
        Ok(NewJob {
            id: JobId(self.journal.environment().new_id()),
            git_ref,
            commit_id: String::new(),
            trigger: Trigger {
                source: TriggerSource::Api,
                principal: call.principal().to_owned(),
                trace: call.trace.clone(),
            },
            variables: request.variables.clone(),
            secret_variables: request.secret_variables.clone(),
            priority: request.priority,
            retried_job_id: None,
            stage_runs: stages.map(StageRun::pending).collect(),
            weights: weights(&pipeline, Some(state)),
            pipeline,
        })
    }

    fn retried(
        &self,
        call: &Call,
        job: &Job,
        scope: RetryScope,
        state: Option<&PipelineState>,
    ) -> Result<NewJob, Error> {
        if !job.state.is_terminal() {
            return Err(Error::JobNotEnded(job.id.to_string()));
        }
        let stage_runs = retried_runs(job, scope);
        Ok(NewJob {
            id: JobId(self.journal.environment().new_id()),
            pipeline: Arc::clone(&job.pipeline),
            git_ref: job.git_ref.clone(),
            commit_id: job.commit_id.clone(),
            trigger: Trigger {
                source: TriggerSource::Retry,
                principal: call.principal().to_owned(),
                trace: call.trace.clone(),
            },
            variables: job.variables.clone(),
            secret_variables: job.secret_variables.clone(),
            priority: job.priority,
            retried_job_id: Some(job.id),
            stage_runs: stage_runs.ok_or_else(|| Error::NothingToRetry(job.id.to_string()))?,
            weights: weights(&job.pipeline, state),
        })
    }

    /// Makes a job under the pipeline's concurrency policy.
    async fn plan(&self, call: &Call, state: &PipelineState, new: NewJob) -> Result<Plan, Error> {
        self.journal.check_can_seal(&new.secret_variables)?;
        self.check_quotas(state).await?;
        let policy = state.pipeline.spec.concurrency_policy;
        let admission = admission(policy, state.active_jobs > 0);
        let write = PipelineWrite::AddJob(state.pipeline.id, state.version);
        let mut writes = vec![Write::Pipeline(write)];
        if admission == Admission::Supersede {
            let cancellation = Cancellation {
                cause: CancelCause::Superseded(new.id),
                reason: String::new(),
                principal: new.trigger.principal.clone(),
            };
            let cancelled = self.cancel_all(call, state.pipeline.id, &cancellation);
            writes.extend(cancelled.await?);
        }
        let number = state.jobs_created + 1;
        let admitted = admission == Admission::Start;
        let now = self.journal.environment().now();
        let (job, write) = write_of(create(new, number, admitted, now));
        writes.push(write);
        Ok(Plan {
            batch: Batch::of(writes),
            answer: Answered::Job(job),
        })
    }

    async fn check_quotas(&self, state: &PipelineState) -> Result<(), Error> {
        if self.lifecycle.is_stopping() {
            return Err(Error::Stopping);
        }
        if state.active_jobs >= self.settings.max_active_jobs {
            return Err(Error::TooManyActiveJobs {
                id: state.pipeline.id.to_string(),
                limit: self.settings.max_active_jobs,
            });
        }
        if self.journal.store().ready_stages().await? >= self.settings.max_queued_stages {
            return Err(Error::QueueFull {
                limit: self.settings.max_queued_stages,
            });
        }
        Ok(())
    }
}

/// What the stages count for, by what they took in the pipeline's newest job that succeeded.
fn weights(pipeline: &Pipeline, state: Option<&PipelineState>) -> Vec<u64> {
    let durations = state.and_then(|state| state.durations.as_deref());
    durations
        .map(|durations| stage_weights(pipeline, durations))
        .unwrap_or_default()
}

/// Answers are kept by method, so one to a job's call is a job.
fn job_of(answer: Answered) -> Result<Arc<Job>, Error> {
    match answer {
        Answered::Job(job) => Ok(job),
        Answered::Nothing | Answered::Pipeline(_) | Answered::Project(_) => {
            Err(Error::RequestIdReused)
        }
    }
}
