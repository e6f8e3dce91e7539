//! The only writer: loads a scope, makes a pure decision, and commits the result.
//!
//! The store notifies the [`Subscriber`]s as a part of the commit. So a caller
//! whose future is dropped, at any await, cannot hide a committed change from those
//! who wait for it.

mod conflicts;
mod idempotency;
pub(super) mod outbox;
mod subscribers;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

use crate::{
    domain::{
        Command, Decision, Job, JobFacts, JobId, Pipeline, PipelineId, Refusal, Secrets, decide,
    },
    store::{Batch, BatchId, CommitError, JobWrite, PipelineState, Store, Write},
};

use super::{Call, Error, access, environment::Environment};
pub(super) use conflicts::Conflicts;
pub(super) use idempotency::{Answered, Plan};
pub(super) use subscribers::{Subscriber, Subscribers};

/// What the outbox removes of a job that was removed.
pub(super) const REMOVE_LOGS: &str = "logs.remove";

/// Loads and commits, for all parts of the engine.
pub(super) struct Journal {
    store: Arc<dyn Store>,
    environment: Environment,
    /// Counter for batch ids, which also contain the store's and the process's own
    /// number.
    batches: AtomicU64,
    process: u64,
}

impl Journal {
    pub(super) fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self {
            store,
            environment,
            batches: AtomicU64::new(1),
            process: rand::random(),
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Refuses secrets that the store could not encrypt.
    pub(super) fn check_can_seal(&self, secrets: &Secrets) -> Result<(), Error> {
        if secrets.is_empty() || self.store.can_seal() {
            Ok(())
        } else {
            Err(Error::EncryptionKeyRequired)
        }
    }

    pub(super) async fn job(&self, id: JobId) -> Result<Arc<Job>, Error> {
        let job = self.store.job(id).await?;
        job.ok_or_else(|| Error::JobNotFound(id.to_string()))
    }

    /// A pipeline, if the caller is authorized for it.
    pub(super) async fn pipeline_for(
        &self,
        call: &Call,
        id: PipelineId,
    ) -> Result<PipelineState, Error> {
        let state = self.store.pipeline(id).await?;
        let state = state.ok_or_else(|| Error::PipelineNotFound(id.to_string()))?;
        access::check_pipeline(call, &state.pipeline)?;
        Ok(state)
    }

    /// The pipeline at a revision; the newest if `None`.
    pub(super) async fn revision_of(
        &self,
        newest: Arc<Pipeline>,
        revision: Option<i64>,
    ) -> Result<Arc<Pipeline>, Error> {
        let Some(revision) = revision.filter(|revision| *revision != newest.revision) else {
            return Ok(newest);
        };
        let found = self.store.revision(newest.id, revision).await?;
        found.ok_or_else(|| Error::RevisionNotFound {
            id: newest.id.to_string(),
            revision,
        })
    }

    /// Commits a batch. Adds the facts of jobs that it ends. If the store could not say
    /// whether it was committed, asks once more.
    pub(super) async fn commit(&self, mut batch: Batch) -> Result<(), CommitError> {
        let ended = |write: &Write| match write {
            Write::Job(JobWrite { job, .. }) => JobFacts::of(job),
            _ => None,
        };
        let facts: Vec<JobFacts> = batch.writes.iter().filter_map(ended).collect();
        let facts = facts.into_iter().map(|facts| Write::Facts(Arc::new(facts)));
        batch.writes.extend(facts);
        let id = self.next_batch();
        batch.id = id;
        match self.store.commit(batch).await {
            Err(CommitError::Unknown(error)) => {
                if self.store.was_committed(id).await? {
                    Ok(())
                } else {
                    Err(error.into())
                }
            }
            result => result,
        }
    }

    /// Removes an ended job, and has the outbox remove its logs: one commit, so that a crash
    /// leaves no log behind.
    pub(super) async fn remove_job(&self, id: JobId) -> Result<(), CommitError> {
        let logs = outbox::message(
            REMOVE_LOGS,
            id.to_string(),
            None,
            Bytes::new(),
            &self.environment,
        );
        self.commit(Batch::of([Write::RemoveJob(id), logs])).await
    }

    /// Applies a command to a job. Retries on a version conflict.
    pub(super) async fn command(
        &self,
        id: JobId,
        command: Command,
    ) -> Result<Result<Arc<Job>, Refusal>, Error> {
        let mut conflicts = Conflicts::default();
        loop {
            let job = self.job(id).await?;
            let decision = match decide(&job, command.clone(), self.environment.now()) {
                Ok(decision) => decision,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if decision.events.is_empty() {
                return Ok(Ok(job));
            }
            let (job, write) = write_of(decision);
            match self.commit(Batch::of([write])).await {
                Ok(()) => return Ok(Ok(job)),
                Err(error) => conflicts.again(error).await?,
            }
        }
    }

    fn next_batch(&self) -> BatchId {
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        BatchId(u128::from(self.process) << 64 | u128::from(number))
    }
}

/// The write for a decision on a job, and the job after it.
pub(super) fn write_of(decision: Decision) -> (Arc<Job>, Write) {
    let job = Arc::new(decision.job);
    let write = JobWrite {
        job: Arc::clone(&job),
        events: decision.events,
    };
    (job, Write::Job(write))
}
