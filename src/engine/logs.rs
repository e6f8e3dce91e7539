//! Logs end with their stages, and go with their jobs.

use std::{sync::Arc, time::Duration};

use metrics::counter;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    blobs::logs::{Kept, LogKey, LogStore, Lost},
    store::{Change, Store},
    telemetry::{LogThrottle, metrics::LOG_DROPPED},
};

use super::{
    journal::Subscriber,
    tasks::{Ran, Task},
};

pub(super) const TASK: Task = Task {
    name: "log_orphans",
    description: "removes logs of jobs that are not kept",
    period: Duration::from_secs(60 * 60),
};

/// Closes the logs of stages that are over, one after the other in the order of their ends:
/// when there is no room, those go first that ended first.
pub(super) struct Closing(mpsc::UnboundedSender<LogKey>);

impl Closing {
    /// Closes logs until the last commit was reported.
    pub(super) fn start(logs: Arc<dyn LogStore>) -> Self {
        let (over, mut keys) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(key) = keys.recv().await {
                logs.close(key).await;
            }
        });
        Self(over)
    }
}

impl Subscriber for Closing {
    fn changed(&self, change: &Change) {
        let Change::Job(change) = change else { return };
        for run in &change.runs {
            // One that was skipped or never started has none.
            if run.state.is_terminal() && run.holder.is_some() {
                let key = LogKey {
                    job_id: change.job.id,
                    run: run.key(),
                };
                // Gone only when the runtime is: then no one reads any more.
                let _ = self.0.send(key);
            }
        }
    }
}

/// Reports to the operator what could not be stored of logs.
#[derive(Default)]
pub(super) struct LogLosses(Mutex<LogThrottle>);

impl LogLosses {
    /// Counts what was lost in a write, all of it, and warns now and then.
    pub(super) fn note(&self, key: LogKey, kept: &Kept) {
        let Some(Lost {
            bytes,
            fault,
            error,
        }) = &kept.lost
        else {
            return;
        };
        counter!(LOG_DROPPED, "reason" => fault.name()).increment(*bytes);
        if let Some(before) = self.0.lock().now() {
            tracing::warn!(job.id = %key.job_id, run = ?key.run, bytes, reason = fault.name(),
                %error, before, "log bytes could not be stored; stages run on without them");
        }
    }
}

/// Finds logs that no client can ask for any more: those that a crash left, and those of a
/// store that has ended with its process.
pub(super) struct Orphans {
    pub(super) store: Arc<dyn Store>,
    pub(super) logs: Arc<dyn LogStore>,
}

impl Orphans {
    pub(super) async fn run(self: Arc<Self>) -> Result<Ran, String> {
        let mut items = 0;
        let jobs = self.logs.jobs().await.map_err(|error| error.to_string())?;
        for job_id in jobs {
            let job = self.store.job(job_id).await;
            if job.map_err(|error| error.to_string())?.is_none() {
                let removed = self.logs.remove(job_id).await;
                removed.map_err(|error| format!("job {job_id}: {error}"))?;
                items += 1;
            }
        }
        Ok(Ran { items, next: None })
    }
}
