//! Jobs that wait for their turn, by their pipeline's concurrency policy.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::{
    domain::{Command, PipelineId},
    engine::{
        Error,
        journal::{Journal, Subscriber},
        tasks::{Ran, Task},
    },
    store::Change,
};

pub(in crate::engine) const TASK: Task = Task {
    name: "turns",
    description: "starts jobs whose turn has come",
    period: Duration::from_secs(60),
};

/// Pipelines of which it may be a waiting job's turn.
pub(in crate::engine) struct Turns {
    journal: Arc<Journal>,
    pending: Arc<Pending>,
    /// When all pipelines were last checked.
    swept: Mutex<Option<Instant>>,
}

/// The pipelines that a commit has named, until their turn was given.
#[derive(Default)]
pub(in crate::engine) struct Pending {
    pipelines: Mutex<BTreeSet<PipelineId>>,
    pub(in crate::engine) wake: Arc<Notify>,
}

impl Subscriber for Pending {
    fn changed(&self, change: &Change) {
        let Change::Job(change) = change else { return };
        // Of two changes that race, the second one sees both: the job that ended is out of the
        // list by now, the new one is in it.
        let waits = change.is_new && change.ready().next().is_none();
        if waits || change.is_over {
            self.pipelines.lock().insert(change.job.pipeline.id);
            self.wake.notify_one();
        }
    }
}

impl Turns {
    pub(in crate::engine) fn new(journal: Arc<Journal>, pending: Arc<Pending>) -> Self {
        Self {
            journal,
            pending,
            swept: Mutex::default(),
        }
    }

    /// Starts the jobs whose turn it is. A pipeline for which that fails stays pending; a
    /// sweep at the start, and once a period however much is pending, finds those that were
    /// not marked pending, after a crash.
    pub(in crate::engine) async fn run(self: Arc<Self>) -> Result<Ran, String> {
        let mut pipelines = std::mem::take(&mut *self.pending.pipelines.lock());
        let mut failed = None;
        if pipelines.is_empty() || self.is_sweep_due() {
            match self.journal.store().pipelines_with_held_jobs().await {
                Ok(held) => {
                    pipelines.extend(held);
                    *self.swept.lock() = Some(Instant::now());
                }
                Err(error) => failed = Some(error.to_string()),
            }
        }
        let mut items = 0;
        for pipeline in pipelines {
            match self.admit_oldest(pipeline).await {
                Ok(is_admitted) => items += u64::from(is_admitted),
                Err(error) => {
                    self.pending.pipelines.lock().insert(pipeline);
                    failed = Some(format!("pipeline {pipeline}: {error}"));
                }
            }
        }
        failed.map_or(Ok(Ran { items, next: None }), Err)
    }

    fn is_sweep_due(&self) -> bool {
        let swept = *self.swept.lock();
        swept.is_none_or(|swept| swept.elapsed() >= TASK.period)
    }

    /// Starts the oldest active job of a pipeline, if it waits for its turn.
    async fn admit_oldest(&self, pipeline: PipelineId) -> Result<bool, Error> {
        let state = self.journal.store().pipeline(pipeline).await?;
        let Some(oldest) = state.and_then(|state| state.oldest_active_job) else {
            return Ok(false);
        };
        match self.journal.command(oldest, Command::Admit).await {
            // It has ended since and was forgotten; its end named the pipeline again.
            Err(Error::JobNotFound(_)) => Ok(false),
            result => result.map(|admitted| admitted.is_ok()),
        }
    }
}
