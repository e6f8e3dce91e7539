//! Ended jobs are forgotten in time, and their logs with them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    blobs::logs::LogStore,
    domain::JobId,
    engine::{
        Settings,
        journal::{
            Journal, REMOVE_LOGS, Subscriber,
            outbox::{Message, SendError, Sender},
        },
        signals::Signals,
        tasks::{Ran, Task},
    },
    store::{Change, CommitError},
};

/// Jobs come of age without anything happening.
pub(in crate::engine) const TASK: Task = Task {
    name: "retention",
    description: "forgets ended jobs and records whose time has come",
    period: Duration::from_secs(60),
};

/// How long idempotency records are valid: 24 h.
const ANSWERS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long ended jobs stay in memory if the store is durable.
pub const LOADED_FOR: Duration = Duration::from_secs(10 * 60);

/// Forgets ended jobs beyond the number to keep.
pub(in crate::engine) struct Retention {
    journal: Arc<Journal>,
    signals: Arc<Signals>,
    settings: Settings,
}

/// Notifies the task when a job has ended.
pub(in crate::engine) struct Ends(pub(in crate::engine) Arc<Notify>);

impl Subscriber for Ends {
    fn changed(&self, change: &Change) {
        if matches!(change, Change::Job(change) if change.is_over) {
            self.0.notify_one();
        }
    }
}

impl Retention {
    pub(in crate::engine) fn new(
        journal: Arc<Journal>,
        signals: Arc<Signals>,
        settings: Settings,
    ) -> Self {
        Self {
            journal,
            signals,
            settings,
        }
    }

    /// Forgets the oldest ended jobs beyond the number to keep, but none that ran and is too
    /// young, or that a client still reads.
    pub(in crate::engine) async fn run(self: Arc<Self>) -> Result<Ran, String> {
        let told = |error: &dyn std::error::Error| error.to_string();
        let store = self.journal.store();
        let now = self.journal.environment().now();
        let mut items = 0;
        let removed = store.remove_expired_records(now).await;
        items += removed.map_err(|error| told(&error))? as u64;
        if let Some(made_before) = now.checked_sub(ANSWERS_KEPT) {
            let removed = store.remove_answers(made_before).await;
            items += removed.map_err(|error| told(&error))? as u64;
        }
        if let Some(time) = now.checked_sub(LOADED_FOR) {
            let unloaded = store.unload_before(time).await;
            unloaded.map_err(|error| told(&error))?;
        }
        let Some(ended_before) = now.checked_sub(self.settings.retain_jobs_for) else {
            return Ok(Ran { items, next: None });
        };
        let expired = store.expired_jobs(self.settings.retain_jobs, ended_before);
        for id in expired.await.map_err(|error| told(&error))? {
            if self.signals.is_followed(id) {
                continue;
            }
            match self.journal.remove_job(id).await {
                // Another caller was first.
                Ok(()) | Err(CommitError::Conflict) => items += 1,
                Err(error) => return Err(told(&error)),
            }
        }
        Ok(Ran { items, next: None })
    }
}

/// Removes the logs of jobs that were forgotten.
pub(in crate::engine) struct LogRemovals(pub(in crate::engine) Arc<dyn LogStore>);

#[async_trait]
impl Sender for LogRemovals {
    fn kind(&self) -> &'static str {
        REMOVE_LOGS
    }

    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let job_id: JobId = message
            .key
            .parse()
            .map_err(|error| SendError::permanent(format!("no job's id: {error}")))?;
        let removed = self.0.remove(job_id).await;
        removed.map_err(|error| SendError::transient(error.to_string()))
    }
}
