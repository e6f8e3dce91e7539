//! A call with a request id is done once. Its repetitions get the same response.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    domain::{Job, Pipeline, Project},
    engine::{Call, Error, access},
    store::{Answer, Batch, CommitError, KeptAnswer, Records, RequestKey, Versioned, collections},
};

use super::{Conflicts, Journal};

/// The changes of a call, and its response if they are committed.
pub(in crate::engine) struct Plan {
    pub(in crate::engine) batch: Batch,
    pub(in crate::engine) answer: Answered,
}

/// The response to a call.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Answered {
    Nothing,
    Pipeline(Arc<Pipeline>),
    Job(Arc<Job>),
    Project(Arc<Versioned<Project>>),
}

impl Answered {
    /// The reference that the idempotency record stores.
    fn reference(&self) -> Answer {
        match self {
            Self::Nothing => Answer::Nothing,
            Self::Pipeline(pipeline) => Answer::Pipeline(pipeline.id, pipeline.revision),
            Self::Job(job) => Answer::Job(job.id, job.last_sequence),
            Self::Project(project) => Answer::Project(project.value.name.clone(), project.version),
        }
    }
}

impl Journal {
    /// Does a call once: a repetition of an answered call gets the stored response. The
    /// attempt is created where it is awaited; a future passed as an argument would
    /// take up its space twice.
    pub(in crate::engine) async fn once<Attempt: Future<Output = Result<Answered, Error>>>(
        &self,
        call: &Call,
        method: &'static str,
        attempt: impl FnOnce() -> Attempt,
    ) -> Result<Answered, Error> {
        if let Some(answer) = self.answered(call, method).await? {
            return Ok(answer);
        }
        match attempt().await {
            Ok(answer) => Ok(answer),
            // The first call may have committed in between, and have caused this error.
            Err(error) => self.answered(call, method).await?.ok_or(error),
        }
    }

    /// Commits a plan and returns its response; `None` if something changed in between,
    /// and the caller has to plan again.
    pub(in crate::engine) async fn try_commit(
        &self,
        call: &Call,
        method: &'static str,
        plan: Plan,
        conflicts: &mut Conflicts,
    ) -> Result<Option<Answered>, Error> {
        let Plan { mut batch, answer } = plan;
        batch.answer =
            request_key(call, method)
                .zip(self.fingerprint(call))
                .map(|(key, fingerprint)| {
                    let kept = KeptAnswer {
                        fingerprint,
                        answer: answer.reference(),
                        time: self.environment.now(),
                    };
                    (key, kept)
                });
        match self.commit(batch).await {
            Ok(()) => Ok(Some(answer)),
            Err(CommitError::Answered(kept)) => self.repeated(call, kept).await.map(Some),
            Err(error) => conflicts.again(error).await.map(|()| None),
        }
    }

    async fn answered(&self, call: &Call, method: &'static str) -> Result<Option<Answered>, Error> {
        let Some(key) = request_key(call, method) else {
            return Ok(None);
        };
        match self.store.answer(&key, self.environment.now()).await? {
            Some(kept) => self.repeated(call, kept).await.map(Some),
            None => Ok(None),
        }
    }

    async fn repeated(&self, call: &Call, kept: KeptAnswer) -> Result<Answered, Error> {
        if self.fingerprint(call) != Some(kept.fingerprint) {
            return Err(Error::RequestIdReused);
        }
        let answer = self.resolved(kept.answer).await?;
        check(call, &answer)?;
        Ok(answer)
    }

    /// Resolves the reference of an idempotency record to the value as it was then. Not
    /// found if it is no longer stored.
    async fn resolved(&self, answer: Answer) -> Result<Answered, Error> {
        Ok(match answer {
            Answer::Nothing => Answered::Nothing,
            Answer::Pipeline(id, revision) => {
                let newest = self.store.pipeline(id).await?;
                let gone = || Error::PipelineNotFound(id.to_string());
                let newest = newest.ok_or_else(gone)?.pipeline;
                Answered::Pipeline(self.revision_of(newest, Some(revision)).await?)
            }
            Answer::Job(id, sequence) => {
                let job = self.job(id).await?;
                if job.last_sequence == sequence {
                    return Ok(Answered::Job(job));
                }
                let events = self.store.events(id, 0).await?.unwrap_or_default();
                let then = events.iter().take_while(|event| event.sequence <= sequence);
                let gone = || Error::JobNotFound(id.to_string());
                Answered::Job(Arc::new(Job::replay(then).ok_or_else(gone)?))
            }
            Answer::Project(name, _) => {
                let projects = Records::<collections::Projects>::new(Arc::clone(&self.store));
                let project = projects.get(&name).await?;
                let project = project.ok_or_else(|| Error::ProjectNotFound(name))?;
                Answered::Project(Arc::new(project))
            }
        })
    }

    /// The fingerprint of a call's request, as stored.
    fn fingerprint(&self, call: &Call) -> Option<[u8; 32]> {
        let request = call.request?;
        let key = &self.store.instance().fingerprint_key;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(&request.fingerprint);
        Some(mac.finalize().into_bytes().into())
    }
}

/// Refuses to repeat a response to a caller who may no longer see its content.
fn check(call: &Call, answer: &Answered) -> Result<(), Error> {
    match answer {
        Answered::Pipeline(pipeline) => access::check_pipeline(call, pipeline),
        Answered::Job(job) => access::check_job(call, job),
        Answered::Project(project) => access::check_project(call, &project.value.name),
        Answered::Nothing => Ok(()),
    }
}

fn request_key(call: &Call, method: &'static str) -> Option<RequestKey> {
    call.request.map(|request| RequestKey {
        principal: call.principal().to_owned(),
        method: method.to_owned(),
        request_id: request.id,
    })
}
