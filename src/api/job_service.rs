use std::{collections::BTreeSet, pin::Pin, sync::Arc, time::Duration};

use futures_util::Stream;
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{JobId, JobState, RetryScope, Violation, limits},
    engine::{Engine, LogRequest},
    proto::{
        Reply, duration_from_proto, job_summary_to_proto, job_to_proto, state_from_proto,
        v1::{self, job_service_server::JobService},
    },
    store::JobFilter,
};

use super::{
    middleware::audit::Audit,
    page::PageRequest,
    request::{Repeatable, filter, id, non_negative, open, open_repeatable, yield_to_others},
    status::{invalid, invalid_field},
    streams,
    views::job_view_to_proto,
};

const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);

/// `pipewright.v1.JobService`.
pub struct Jobs {
    engine: Arc<Engine>,
}

impl Jobs {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<Reply<T>, Status>> + Send>>;

#[async_trait]
impl JobService for Jobs {
    type WatchJobStream = BoxStream<v1::WatchJobResponse>;
    type ReadStageLogStream = BoxStream<v1::ReadStageLogResponse>;

    async fn get_job(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let (call, v1::GetJobRequest { job_id }) = open(request);
        let view = self
            .engine
            .jobs()
            .get(&call, id("job_id", &job_id)?)
            .await?;
        let job = Some(job_view_to_proto(&view));
        Ok(Response::new(v1::GetJobResponse { job }))
    }

    async fn list_jobs(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        yield_to_others().await;
        let (call, mut message) = open(request);
        let page_size = std::mem::take(&mut message.page_size);
        let page_token = std::mem::take(&mut message.page_token);
        let page = PageRequest::new("ListJobs", page_size, &page_token, &message)?;
        let v1::ListJobsRequest {
            page_size: _,
            page_token: _,
            project,
            pipeline_id,
            states,
        } = message;
        let wanted = JobFilter {
            projects: filter(project).map(|project| BTreeSet::from([project])),
            pipeline_id: filter(pipeline_id)
                .map(|text| id("pipeline_id", &text))
                .transpose()?,
            states: read_states(&states)?,
        };
        let before = page.after.map(JobId);
        let found = self
            .engine
            .jobs()
            .list(&call, wanted, before, page.lookahead())
            .await?;
        let (jobs, next_page_token) = page.cut(
            found
                .iter()
                .map(|job| (job.id.0, job_summary_to_proto(job))),
            v1::Job::encoded_len,
        );
        Ok(Response::new(v1::ListJobsResponse {
            jobs,
            next_page_token,
        }))
    }

    async fn watch_job(
        &self,
        request: Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let (call, message) = open(request);
        let v1::WatchJobRequest {
            job_id,
            last_seen_sequence,
            heartbeat_interval,
        } = message;
        let id = id("job_id", &job_id)?;
        let heartbeat = read_heartbeat(heartbeat_interval)?;
        if let Some(seen) = last_seen_sequence {
            non_negative("last_seen_sequence", seen)?;
        }
        let (opening, watch) = self
            .engine
            .jobs()
            .watch(&call, id, last_seen_sequence)
            .await?;
        let engine = Arc::clone(&self.engine);
        let stream = streams::watch(opening, watch, heartbeat);
        Ok(Response::new(Box::pin(streams::until_closing(
            engine, stream,
        ))))
    }

    async fn read_stage_log(
        &self,
        request: Request<v1::ReadStageLogRequest>,
    ) -> Result<Response<Self::ReadStageLogStream>, Status> {
        let (call, message) = open(request);
        let v1::ReadStageLogRequest {
            job_id,
            stage_name,
            attempt,
            offset,
            limit_bytes,
            follow,
        } = message;
        if !(1..=limits::MAX_STAGE_NAME).contains(&stage_name.chars().count()) {
            return Err(invalid_field("stage_name", "must have 1 to 64 characters"));
        }
        let attempt = non_negative("attempt", i64::from(attempt))?;
        let wanted = LogRequest {
            job_id: id("job_id", &job_id)?,
            stage_name,
            attempt: attempt.map(|attempt| u32::try_from(attempt).unwrap_or(u32::MAX)),
            offset,
            limit: non_negative("limit_bytes", limit_bytes)?,
            follow,
        };
        let log = self.engine.jobs().open_log(&call, wanted).await?;
        let stream = streams::stage_log(log);
        let engine = Arc::clone(&self.engine);
        Ok(Response::new(Box::pin(streams::until_closing(
            engine, stream,
        ))))
    }

    async fn cancel_job(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, v1::CancelJobRequest { job_id, reason }) = open(request);
        audit.about("job", &job_id);
        let id = id("job_id", &job_id)?;
        let view = self.engine.jobs().cancel(&call, id, reason).await?;
        let job = Some(job_view_to_proto(&view));
        Ok(Response::new(v1::CancelJobResponse { job }))
    }

    async fn retry_job(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open_repeatable(request)?;
        let v1::RetryJobRequest {
            job_id,
            scope,
            request_id: _,
        } = message;
        audit.about("job", &job_id);
        let id = id("job_id", &job_id)?;
        let job = self
            .engine
            .jobs()
            .retry(&call, id, read_scope(scope)?)
            .await?;
        audit.about("job", &job.id.to_string());
        let job = Some(job_to_proto(&job));
        Ok(Response::new(v1::RetryJobResponse { job }))
    }
}

impl Repeatable for v1::RetryJobRequest {
    fn request_id(&self) -> Option<&str> {
        Some(&self.request_id)
    }
}

fn read_states(states: &[i32]) -> Result<Vec<JobState>, Status> {
    let read = |(position, state): (usize, &i32)| {
        state_from_proto(*state).ok_or_else(|| {
            let description = format!("{state} is not a state that a job can be in");
            Violation::new(format!("states[{position}]"), description)
        })
    };
    // A set removes duplicates: every job of the page is compared with each state.
    let states: Result<BTreeSet<_>, _> = states.iter().enumerate().map(read).collect();
    let states = states.map_err(|violation| invalid(vec![violation]))?;
    Ok(states.into_iter().collect())
}

fn read_heartbeat(interval: Option<prost_types::Duration>) -> Result<Duration, Status> {
    let Some(interval) = interval else {
        return Ok(DEFAULT_HEARTBEAT);
    };
    let range = Duration::from_secs(1)..=Duration::from_secs(60);
    duration_from_proto(interval)
        .ok()
        .filter(|interval| range.contains(interval))
        .ok_or_else(|| invalid_field("heartbeat_interval", "must be 1 s to 60 s"))
}

fn read_scope(scope: i32) -> Result<RetryScope, Status> {
    use v1::retry_job_request::Scope;
    match Scope::try_from(scope) {
        Ok(Scope::Unspecified | Scope::AllStages) => Ok(RetryScope::AllStages),
        Ok(Scope::FailedStages) => Ok(RetryScope::FailedStages),
        Err(_) => {
            let description = format!("has the value {scope}, which this version does not know");
            Err(invalid_field("scope", description))
        }
    }
}
