//! What nobody calls for: jobs whose turn has come, jobs that expire, and the stop.

use std::{sync::Weak, time::Duration};

use tokio::{sync::mpsc, time};

use crate::domain::{CancelCause, Cancellation, Command, PipelineId};

use super::{Engine, Error, Settings};

/// Something to do after a commit, by a task of its own, so that a caller that
/// goes away cannot leave it undone.
pub(super) enum Chore {
    /// A job of this pipeline came or ended: it may be another one's turn.
    Admit(PipelineId),
    /// A job ended or is read no more: others may have to go.
    Retain,
}

/// Does chores until the engine is gone.
pub(super) async fn run(engine: Weak<Engine>, mut todo: mpsc::UnboundedReceiver<Chore>) {
    while let Some(chore) = todo.recv().await {
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let done = match chore {
            Chore::Admit(pipeline) => engine.admit_oldest(pipeline).await,
            Chore::Retain => engine.retain().await,
        };
        if let Err(error) = done {
            tracing::error!(%error, "housekeeping failed");
        }
    }
}

impl Engine {
    /// Refuses new work, cancels what is active and waits until it has ended, or
    /// until `limit` has passed; then ends all streams.
    pub async fn stop(&self, limit: Duration) {
        self.stopping.cancel();
        // Runners that wait for work learn that there is none to come.
        self.progress.notify_waiters();
        match time::timeout(limit, self.end_all_jobs()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "jobs could not be cancelled"),
            Err(_) => tracing::warn!(?limit, "stages are still running; leaving them behind"),
        }
        self.closing.cancel();
    }

    /// Starts the oldest active job of a pipeline, if it waits for its turn.
    async fn admit_oldest(&self, pipeline: PipelineId) -> Result<(), Error> {
        let state = self.store.pipeline(pipeline).await?;
        let Some(oldest) = state.and_then(|state| state.active_jobs.first().copied()) else {
            return Ok(());
        };
        match self.command(oldest, Command::Admit).await {
            // It has ended since, which is another chore.
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
            if !self.signals.is_read(id) {
                self.store.remove_job(id).await?;
                self.logs.remove(id).await?;
            }
        }
        Ok(())
    }

    async fn end_all_jobs(&self) -> Result<(), Error> {
        const AT_ONCE: usize = 1_000;
        loop {
            // Registered before the look, so that no end is missed in between.
            let ended = self.progress.notified();
            let active = self.active_jobs(AT_ONCE).await?;
            if active.is_empty() {
                return Ok(());
            }
            let mut changed = false;
            for job in active {
                changed |= job.cancellation.is_none();
                let cancel = Command::Cancel(Cancellation {
                    cause: CancelCause::ServerStopped,
                    reason: String::new(),
                    principal: String::new(),
                });
                // One that ended in between needs no cancel.
                let _ = self.command(job.id, cancel).await?;
            }
            if !changed {
                ended.await;
            }
        }
    }
}
