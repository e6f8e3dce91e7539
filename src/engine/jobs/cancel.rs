use std::sync::Arc;

use tokio::task;

use crate::{
    domain::{CancelCause, Cancellation, Command, JobId, PipelineId, Refusal, decide, validate},
    engine::{Call, Error, access, journal::write_of},
    store::Write,
};

use super::{JobView, Jobs};

impl Jobs {
    /// Asks a job to stop.
    ///
    /// # Errors
    /// If there is none that the caller may see, it has ended otherwise, or the store fails.
    pub async fn cancel(&self, call: &Call, id: JobId, reason: String) -> Result<JobView, Error> {
        let violations = validate::cancel_reason(&reason);
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let job = self.for_call(call, id).await?;
        access::check_deploy(call, &job.pipeline)?;
        let cancel = Command::Cancel(Cancellation {
            cause: CancelCause::Requested,
            reason,
            principal: call.principal().to_owned(),
        });
        match self.journal.command(id, cancel).await? {
            Ok(job) => self.view(job).await,
            Err(Refusal::JobEnded(state)) => Err(Error::JobEnded {
                id: id.to_string(),
                state,
            }),
            Err(Refusal::LeaseLost) => unreachable!("a cancel needs no lease"),
        }
    }

    /// The writes that cancel those of a pipeline's active jobs that still can be. Refused if
    /// the caller may not cancel one of them.
    pub(in crate::engine) async fn cancel_all(
        &self,
        call: &Call,
        id: PipelineId,
        cancellation: &Cancellation,
    ) -> Result<Vec<Write>, Error> {
        // There may be a thousand: others on the caller's connection have their turn first.
        task::yield_now().await;
        let store = self.journal.store();
        let mut writes = Vec::new();
        for id in store.active_jobs(id).await? {
            let Some(job) = store.job(id).await? else {
                continue;
            };
            let cancel = Command::Cancel(cancellation.clone());
            let decision = decide(&job, cancel, self.journal.environment().now());
            if let Ok(decision) = decision
                && !decision.events.is_empty()
            {
                access::check_deploy(call, &job.pipeline)?;
                let (_, write) = write_of(decision);
                writes.push(write);
            }
        }
        Ok(writes)
    }

    /// Cancels all active jobs because the service stops, and waits until they have ended.
    pub(in crate::engine) async fn end_all(self: &Arc<Self>) -> Result<(), Error> {
        loop {
            // Registered before the look, so that no end is missed in between.
            let changed = self.lifecycle.jobs_changed();
            if self.cancel_active().await? == 0 {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Cancels what is active and answers how many have not ended yet.
    async fn cancel_active(&self) -> Result<usize, Error> {
        const AT_ONCE: usize = 1_000;
        let mut last: Option<JobId> = None;
        let mut left = 0;
        loop {
            let active = self.active(last, AT_ONCE).await?;
            let Some(oldest) = active.last() else {
                return Ok(left);
            };
            last = Some(oldest.id);
            for job in active {
                let cancel = Command::Cancel(Cancellation {
                    cause: CancelCause::ServerStopped,
                    reason: String::new(),
                    principal: String::new(),
                });
                // One that ended in between needs no cancel.
                if let Ok(job) = self.journal.command(job.id, cancel).await? {
                    left += usize::from(!job.state.is_terminal());
                }
            }
        }
    }
}
