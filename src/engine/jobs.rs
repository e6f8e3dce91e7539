use std::sync::Arc;

use crate::{
    blobs::logs::LogKey,
    domain::{
        Admission, CancelCause, Cancellation, Command, Decision, Demand, Job, JobId, JobState,
        NewJob, PendingReason, Pipeline, PipelineId, Refusal, RetryScope, Secrets, StageRun,
        StageState, Trigger, TriggerSource, Variables, admission, create, retried_runs,
        stage_weights, validate, waits_for,
    },
    store::{Answer, Batch, JobFilter, JobWrite, PipelineState, PipelineWrite},
};

use super::{Call, Engine, Error, access, commit::Plan};

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

/// What is known of a stage run only at the moment it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageView {
    /// Why it has not started, while it waits.
    pub pending_reason: Option<PendingReason>,
    /// Bytes of log that are committed.
    pub log_size: u64,
}

/// A job as it is now, with what is known only while it is read.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The job.
    pub job: Arc<Job>,
    /// One a stage run.
    pub stages: Vec<StageView>,
}

impl Engine {
    /// Starts a job.
    pub async fn trigger_pipeline(
        &self,
        call: &Call,
        request: TriggerRequest,
    ) -> Result<Arc<Job>, Error> {
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
            loop {
                let state = self.pipeline_for(call, request.pipeline_id).await?;
                let new = self.triggered(call, &request, &state).await?;
                access::check_stages(call, &new.pipeline)?;
                let plan = self.plan_job(&state, new).await?;
                if request.validate_only {
                    return Ok(plan.answer);
                }
                if let Some(answer) = self.try_commit(call, METHOD, plan).await? {
                    return Ok(answer);
                }
            }
        };
        self.once(call, METHOD, attempt).await.and_then(job_of)
    }

    /// Starts a job that repeats an ended one.
    pub async fn retry_job(
        &self,
        call: &Call,
        id: JobId,
        scope: RetryScope,
    ) -> Result<Arc<Job>, Error> {
        const METHOD: &str = "RetryJob";
        let attempt = || async {
            loop {
                let job = self.job_for(call, id).await?;
                access::check_stages(call, &job.pipeline)?;
                let new = self.retried(call, &job, scope).await?;
                let state = self.store.pipeline(job.pipeline.id).await?;
                let state = state.ok_or_else(|| Error::PipelineDeleted(id.to_string()))?;
                let plan = self.plan_job(&state, new).await?;
                if matches!(&plan.answer, Answer::Job(job) if job.state.is_terminal()) {
                    // Each stage that would run again is skipped by its condition.
                    return Err(Error::NothingToRetry(id.to_string()));
                }
                if let Some(answer) = self.try_commit(call, METHOD, plan).await? {
                    return Ok(answer);
                }
            }
        };
        self.once(call, METHOD, attempt).await.and_then(job_of)
    }

    /// Asks a job to stop.
    pub async fn cancel_job(
        &self,
        call: &Call,
        id: JobId,
        reason: String,
    ) -> Result<JobView, Error> {
        let violations = validate::cancel_reason(&reason);
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        self.job_for(call, id).await?;
        let cancel = Command::Cancel(Cancellation {
            cause: CancelCause::Requested,
            reason,
            principal: call.principal().to_owned(),
        });
        match self.command(id, cancel).await? {
            Ok(job) => self.view(job).await,
            Err(Refusal::JobEnded(state)) => Err(Error::JobEnded {
                id: id.to_string(),
                state,
            }),
            Err(Refusal::LeaseLost) => unreachable!("a cancel needs no lease"),
        }
    }

    /// A job with its stage runs.
    pub async fn get_job(&self, call: &Call, id: JobId) -> Result<JobView, Error> {
        self.view(self.job_for(call, id).await?).await
    }

    /// The newest jobs that a filter matches and the caller sees, older than `before`.
    pub async fn list_jobs(
        &self,
        call: &Call,
        filter: JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, Error> {
        let filter = JobFilter {
            projects: access::narrowed(&call.authority, filter.projects),
            ..filter
        };
        Ok(self.store.list_jobs(&filter, before, limit).await?)
    }

    /// Adds to a job what is known only while it is read.
    pub async fn view(&self, job: Arc<Job>) -> Result<JobView, Error> {
        let bound = self.store.bindings(job.id).await?;
        let now = self.both_times().instant;
        // Asked only of stages that are ready, of runners with their labels, and only until
        // one fits: there may be thousands.
        let waits_for = |demand: &Demand| {
            let wait =
                |candidates: &mut dyn Iterator<Item = _>| waits_for(&bound, demand, candidates);
            self.leases.with_candidates(demand, now, wait)
        };
        let stages = job.stage_runs.iter().map(|run| {
            let key = LogKey {
                job_id: job.id,
                run: run.key(),
            };
            StageView {
                pending_reason: pending_reason(&job, run, waits_for),
                log_size: self.log_size(run, key),
            }
        });
        Ok(JobView {
            stages: stages.collect(),
            job,
        })
    }

    async fn triggered(
        &self,
        call: &Call,
        request: &TriggerRequest,
        state: &PipelineState,
    ) -> Result<NewJob, Error> {
        let newest = Arc::clone(&state.pipeline);
        let pipeline = self.revision_of(newest, request.revision).await?;
        let git_ref = match request.git_ref.is_empty() {
            true => pipeline.spec.default_ref.clone(),
            false => request.git_ref.clone(),
        };
        let stages = 0..pipeline.spec.stages.len();
        Ok(NewJob {
            id: self.new_job_id(),
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
            weights: self.weights(&pipeline).await?,
            pipeline,
        })
    }

    async fn retried(&self, call: &Call, job: &Job, scope: RetryScope) -> Result<NewJob, Error> {
        if !job.state.is_terminal() {
            return Err(Error::JobNotEnded(job.id.to_string()));
        }
        let stage_runs = retried_runs(job, scope);
        Ok(NewJob {
            id: self.new_job_id(),
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
            weights: self.weights(&job.pipeline).await?,
        })
    }

    /// What the stages count for, by the pipeline's newest job that succeeded.
    async fn weights(&self, pipeline: &Pipeline) -> Result<Vec<u64>, Error> {
        let succeeded = JobFilter {
            pipeline_id: Some(pipeline.id),
            states: vec![JobState::Succeeded],
            ..JobFilter::default()
        };
        let newest = self.store.list_jobs(&succeeded, None, 1).await?;
        Ok(newest
            .first()
            .map(|job| stage_weights(pipeline, job))
            .unwrap_or_default())
    }

    /// Makes a job under the pipeline's concurrency policy.
    async fn plan_job(&self, state: &PipelineState, new: NewJob) -> Result<Plan, Error> {
        self.check_quotas(state).await?;
        let policy = state.pipeline.spec.concurrency_policy;
        let admission = admission(policy, state.active_jobs > 0);
        let mut jobs = Vec::new();
        if admission == Admission::Supersede {
            let cancellation = Cancellation {
                cause: CancelCause::Superseded(new.id),
                reason: String::new(),
                principal: new.trigger.principal.clone(),
            };
            jobs = self.cancel_all(state.pipeline.id, &cancellation).await?;
        }
        let number = state.jobs_created + 1;
        let admitted = admission == Admission::Start;
        let Decision { events, job } = create(new, number, admitted, self.now());
        let job = Arc::new(job);
        jobs.push(JobWrite {
            job: Arc::clone(&job),
            events,
        });
        let write = PipelineWrite::AddJob(state.pipeline.id, state.version);
        Ok(Plan {
            batch: Batch {
                pipeline: Some(write),
                jobs,
                answer: None,
            },
            answer: Answer::Job(job),
        })
    }

    async fn check_quotas(&self, state: &PipelineState) -> Result<(), Error> {
        if self.stopping.is_cancelled() {
            return Err(Error::Stopping);
        }
        if state.active_jobs >= self.settings.max_active_jobs {
            return Err(Error::TooManyActiveJobs {
                id: state.pipeline.id.to_string(),
                limit: self.settings.max_active_jobs,
            });
        }
        if self.store.ready_stages().await? >= self.settings.max_queued_stages {
            return Err(Error::QueueFull {
                limit: self.settings.max_queued_stages,
            });
        }
        Ok(())
    }

    /// Jobs that have not ended, the newest first, at most `limit` older than `before`.
    pub(super) async fn active_jobs(
        &self,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, Error> {
        let states = JobState::ALL
            .into_iter()
            .filter(|state| !state.is_terminal());
        let filter = JobFilter {
            states: states.collect(),
            ..JobFilter::default()
        };
        Ok(self.store.list_jobs(&filter, before, limit).await?)
    }

    fn new_job_id(&self) -> JobId {
        JobId(self.ids.next(self.now()))
    }
}

fn pending_reason(
    job: &Job,
    run: &StageRun,
    waits_for: impl Fn(&Demand) -> PendingReason,
) -> Option<PendingReason> {
    let is_over = |&stage: &usize| job.newest_run(stage).state.is_terminal();
    match run.state {
        StageState::Pending if job.pipeline.graph.direct(run.stage).iter().all(is_over) => {
            // Nothing else keeps a stage back whose needs are over.
            Some(PendingReason::Concurrency)
        }
        StageState::Pending => Some(PendingReason::Needs),
        StageState::Queued => Some(waits_for(&Demand::of(job.stage(run)))),
        StageState::Running
        | StageState::Succeeded
        | StageState::Failed
        | StageState::Cancelled
        | StageState::Skipped(_) => None,
    }
}

/// Answers are kept by method, so one to a job's call is a job.
fn job_of(answer: Answer) -> Result<Arc<Job>, Error> {
    match answer {
        Answer::Job(job) => Ok(job),
        Answer::Deleted | Answer::Pipeline(_) => Err(Error::RequestIdReused),
    }
}
