//! Calls that change something, and what must be stored because they were acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use pipewright::proto::v1::{
    self, job_service_client::JobServiceClient, pipeline_service_client::PipelineServiceClient,
};
use tonic::{Code, Status, transport::Channel};

use super::stages::Kind;

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Create(v1::CreatePipelineRequest),
    Update(v1::UpdatePipelineRequest),
    Delete(v1::DeletePipelineRequest),
    Trigger(v1::TriggerPipelineRequest),
    Retry(v1::RetryJobRequest),
    Cancel(v1::CancelJobRequest),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Nothing,
    Pipeline(Box<v1::Pipeline>),
    Job(Box<v1::Job>),
}

impl Call {
    pub(crate) async fn make(&self, channel: &Channel) -> Result<Answer, Status> {
        let mut pipelines = PipelineServiceClient::new(channel.clone());
        let mut jobs = JobServiceClient::new(channel.clone());
        Ok(match self.clone() {
            Self::Create(request) => {
                let answer = pipelines.create_pipeline(request).await?.into_inner();
                Answer::Pipeline(answer.pipeline.expect("a pipeline").into())
            }
            Self::Update(request) => {
                let answer = pipelines.update_pipeline(request).await?.into_inner();
                Answer::Pipeline(answer.pipeline.expect("a pipeline").into())
            }
            Self::Delete(request) => {
                pipelines.delete_pipeline(request).await?;
                Answer::Nothing
            }
            Self::Trigger(request) => {
                let answer = pipelines.trigger_pipeline(request).await?.into_inner();
                Answer::Job(answer.job.expect("a job").into())
            }
            Self::Retry(request) => {
                let answer = jobs.retry_job(request).await?.into_inner();
                Answer::Job(answer.job.expect("a job").into())
            }
            Self::Cancel(request) => {
                let answer = jobs.cancel_job(request).await?.into_inner();
                Answer::Job(answer.job.expect("a job").into())
            }
        })
    }

    /// Whether the state of a job, which others change as well, may be a reason to refuse it.
    pub(crate) fn may_be_refused(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::Cancel(_))
    }

    /// Whether it carries an idempotency key.
    pub(crate) fn is_idempotent(&self) -> bool {
        !matches!(self, Self::Cancel(_))
    }

    /// The pipeline that the answer shows, if it does.
    fn shown_pipeline(&self, answer: &Answer) -> Option<String> {
        match (self, answer) {
            (Self::Create(_) | Self::Update(_), Answer::Pipeline(pipeline)) => {
                Some(pipeline.id.clone())
            }
            _ => None,
        }
    }
}

/// Whether an error says nothing about the effect of a call.
pub(crate) fn is_unclear(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
    )
}

/// A call whose answer has arrived.
pub(crate) type Acknowledged = (Call, Answer);

/// A job that must exist.
#[derive(Clone, Debug)]
pub(crate) struct KnownJob {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// A cancel was acknowledged, or the deletion of its pipeline.
    pub(crate) is_cancelled: bool,
    /// It had ended when it was checked, and nothing of it can change.
    pub(crate) is_over: bool,
}

/// Everything that was acknowledged.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) pipelines: BTreeMap<String, v1::Pipeline>,
    deleted: BTreeSet<String>,
    pub(crate) jobs: BTreeMap<String, KnownJob>,
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Calls that may have had their effect or not.
    pub(crate) unclear: Vec<Call>,
}

impl Ledger {
    pub(crate) fn acknowledge(&mut self, call: Call, answer: Answer) {
        match (&call, &answer) {
            (Call::Create(_) | Call::Update(_), Answer::Pipeline(pipeline)) => {
                let pipeline = (**pipeline).clone();
                self.pipelines.insert(pipeline.id.clone(), pipeline);
            }
            (Call::Delete(request), _) => {
                self.pipelines.remove(&request.pipeline_id);
                self.deleted.insert(request.pipeline_id.clone());
            }
            (Call::Trigger(_) | Call::Retry(_), Answer::Job(job)) => {
                self.add_job(job);
            }
            (Call::Cancel(request), _) => {
                if let Some(job) = self.jobs.get_mut(&request.job_id) {
                    job.is_cancelled = true;
                }
            }
            _ => unreachable!("an answer of another kind"),
        }
        self.acknowledged.push((call, answer));
    }

    fn add_job(&mut self, job: &v1::Job) {
        let known = KnownJob {
            number: u32::try_from(self.jobs.len()).expect("a small number"),
            kind: Kind::of(&job.pipeline_name),
            is_cancelled: false,
            is_over: false,
        };
        self.jobs.insert(job.id.clone(), known);
    }

    /// Whether the pipeline that a call's answer shows was deleted since.
    pub(crate) fn is_gone(&self, call: &Call, answer: &Answer) -> bool {
        let shown = call.shown_pipeline(answer);
        shown.is_some_and(|id| self.deleted.contains(&id))
    }

    pub(crate) fn is_deleted(&self, pipeline: &str) -> bool {
        self.deleted.contains(pipeline)
    }
}
