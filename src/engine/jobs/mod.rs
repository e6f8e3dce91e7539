//! Jobs: how they are started, stopped and read, and what becomes of them in time.

mod cancel;
mod log;
mod retention;
mod trigger;
mod turns;
mod view;
mod watch;

use std::sync::Arc;

use crate::{
    blobs::logs::LogStore,
    domain::{Job, JobId, JobState},
    store::JobFilter,
};

use super::{
    Call, Error, Settings, access, budgets::Budgets, journal::Journal, lifecycle::Lifecycle,
    runners::Roster, signals::Signals,
};
pub use log::{LogPiece, LogRequest, StageLog};
pub use retention::LOADED_FOR;
pub(super) use retention::{Ends, LogRemovals, Retention, TASK as RETENTION};
pub use trigger::TriggerRequest;
pub(super) use turns::{Pending, TASK as TURNS, Turns};
pub use view::{JobView, StageView};
pub use watch::{Opening, Watch};

/// All that callers do with jobs.
pub struct Jobs {
    journal: Arc<Journal>,
    budgets: Arc<Budgets>,
    logs: Arc<dyn LogStore>,
    signals: Arc<Signals>,
    /// Says why a stage waits.
    roster: Arc<Roster>,
    lifecycle: Lifecycle,
    settings: Settings,
}

impl Jobs {
    pub(super) fn new(
        journal: Arc<Journal>,
        budgets: Arc<Budgets>,
        logs: Arc<dyn LogStore>,
        signals: Arc<Signals>,
        roster: Arc<Roster>,
        lifecycle: Lifecycle,
        settings: Settings,
    ) -> Self {
        Self {
            journal,
            budgets,
            logs,
            signals,
            roster,
            lifecycle,
            settings,
        }
    }

    /// A job with its stage runs.
    ///
    /// # Errors
    /// If there is none that the caller may see, or the store fails.
    pub async fn get(&self, call: &Call, id: JobId) -> Result<JobView, Error> {
        self.view(self.for_call(call, id).await?).await
    }

    /// The newest jobs that a filter matches and the caller sees, older than `before`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(
        &self,
        call: &Call,
        filter: JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, Error> {
        let filter = JobFilter {
            projects: access::narrowed(&call.authority, filter.projects),
            ..filter
        };
        Ok(self
            .journal
            .store()
            .list_jobs(&filter, before, limit)
            .await?)
    }

    /// Jobs that have not ended, the newest first, at most `limit` older than `before`.
    async fn active(&self, before: Option<JobId>, limit: usize) -> Result<Vec<Arc<Job>>, Error> {
        let states = JobState::ALL
            .into_iter()
            .filter(|state| !state.is_terminal());
        let filter = JobFilter {
            states: states.collect(),
            ..JobFilter::default()
        };
        Ok(self
            .journal
            .store()
            .list_jobs(&filter, before, limit)
            .await?)
    }

    /// A job, if the call may do its work there.
    async fn for_call(&self, call: &Call, id: JobId) -> Result<Arc<Job>, Error> {
        let job = self.journal.job(id).await?;
        access::check_job(call, &job)?;
        Ok(job)
    }
}
