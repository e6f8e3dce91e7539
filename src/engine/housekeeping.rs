//! What nobody calls for: jobs whose turn has come, jobs that expire, and the stop.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time,
};

use crate::domain::{CancelCause, Cancellation, Command, JobId, PipelineId};

use super::{Engine, Error, Settings};

/// Jobs come of age without anything happening; looked at this often.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Starts jobs whose turn has come, by a task of its own, so that a caller that goes
/// away cannot leave it undone. Each pipeline named had a job come or end.
pub(super) async fn admit(engine: Weak<Engine>, mut todo: mpsc::UnboundedReceiver<PipelineId>) {
    while let Some(pipeline) = todo.recv().await {
        let Some(engine) = engine.upgrade() else {
            return;
        };
        if let Err(error) = engine.admit_oldest(pipeline).await {
            tracing::error!(%error, pipeline.id = %pipeline, "a waiting job could not be started");
        }
    }
}

/// Forgets jobs whenever one has ended or is read no more. Many wake-ups are one
/// look, and the look keeps nobody's turn waiting.
pub(super) async fn retain(engine: Weak<Engine>, wake: Arc<Notify>) {
    loop {
        let _ = time::timeout(RETENTION_INTERVAL, wake.notified()).await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        if let Err(error) = engine.retain().await {
            tracing::error!(%error, "ended jobs could not be forgotten");
        }
    }
}

impl Engine {
    /// Refuses new work, cancels what is active and waits until it has ended, or
    /// until `limit` has passed; then ends all streams.
    pub async fn stop(&self, limit: Duration) {
        self.stopping.cancel();
        // Runners that wait for work learn that there is none to come.
        self.waiters.all();
        match time::timeout(limit, self.end_all_jobs()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "jobs could not be cancelled"),
            Err(_) => tracing::warn!(?limit, "stages are still running; killing them"),
        }
        self.closing.cancel();
    }

    /// Starts the oldest active job of a pipeline, if it waits for its turn.
    async fn admit_oldest(&self, pipeline: PipelineId) -> Result<(), Error> {
        let state = self.store.pipeline(pipeline).await?;
        let Some(oldest) = state.and_then(|state| state.oldest_active_job) else {
            return Ok(());
        };
        match self.command(oldest, Command::Admit).await {
            // It has ended since and was forgotten; its end named the pipeline again.
            Err(Error::JobNotFound(_)) => Ok(()),
            result => result.map(drop),
        }
    }

    /// Forgets the oldest ended jobs beyond the number to keep, but none that is
    /// too young or that somebody still reads.
    async fn retain(&self) -> Result<(), Error> {
        let Settings {
            retain_jobs,
            retain_jobs_for,
            ..
        } = self.settings;
        let Some(ended_before) = self.now().checked_sub(retain_jobs_for) else {
            return Ok(());
        };
        for id in self.store.expired_jobs(retain_jobs, ended_before).await? {
            if self.signals.is_read(id) {
                continue;
            }
            self.store.remove_job(id).await?;
            if let Err(error) = self.logs.remove(id).await {
                tracing::warn!(%error, job.id = %id, "the logs of a forgotten job are left behind");
            }
        }
        Ok(())
    }

    async fn end_all_jobs(&self) -> Result<(), Error> {
        loop {
            // Registered before the look, so that no end is missed in between.
            let ended = self.jobs_changed.notified();
            if self.cancel_active_jobs().await? == 0 {
                return Ok(());
            }
            ended.await;
        }
    }

    /// Cancels what is active and tells how many have not ended yet.
    async fn cancel_active_jobs(&self) -> Result<usize, Error> {
        const AT_ONCE: usize = 1_000;
        let mut last: Option<JobId> = None;
        let mut left = 0;
        loop {
            let active = self.active_jobs(last, AT_ONCE).await?;
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
                if let Ok(job) = self.command(job.id, cancel).await? {
                    left += usize::from(!job.state.is_terminal());
                }
            }
        }
    }
}
