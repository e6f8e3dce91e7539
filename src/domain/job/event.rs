use std::{sync::Arc, time::SystemTime};

use crate::domain::{Cancellation, Failure, Job, JobState, Origin, RunKey, StageRun};

/// One change of a job. Its events, folded in order, are the job.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// 1 for the first event of the job, then up by one.
    pub sequence: i64,
    /// When it happened.
    pub time: SystemTime,
    /// The job's progress after it, 0 to 100.
    pub progress_percent: u8,
    /// What changed.
    pub change: Change,
}

/// What an event changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The job was made. Always event 1, and only there.
    Created(Made),
    /// Its first stage started.
    Started,
    /// The commit to check out became known.
    CommitResolved(String),
    /// It is being cancelled.
    Cancelling(Arc<Cancellation>),
    /// A stage run, given whole.
    StageRunChanged(Arc<StageRun>),
    /// A running stage moved on.
    StageProgressed {
        /// Which run.
        run: RunKey,
        /// How far it is, 1 to 100.
        percent: u8,
    },
    /// It is over. Always the last event.
    Ended {
        /// A terminal state.
        state: JobState,
        /// Set on [`JobState::Failed`].
        failure: Option<Arc<Failure>>,
    },
}

/// A job as it was made.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// With all its stages before it, as nearly all are: what it is from its beginning to
    /// its end says the rest. There may be very many of these that wait.
    Fresh(Arc<Origin>),
    /// With something that it took over from the job that it repeats.
    Whole(Arc<Job>),
}

impl Made {
    pub(super) fn of(job: &Job) -> Self {
        match job.is_fresh() {
            true => Self::Fresh(Arc::clone(&job.origin)),
            false => Self::Whole(Arc::new(job.clone())),
        }
    }

    /// The job.
    pub fn job(&self) -> Job {
        match self {
            Self::Fresh(origin) => Job::fresh(Arc::clone(origin)),
            Self::Whole(job) => Job::clone(job),
        }
    }
}
