use std::{sync::Arc, time::SystemTime};

use crate::domain::{Cancellation, Failure, Job, JobState, Origin, RunKey, StageRun};

/// One change of a job. The job is the fold of its events, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// 1 for the first event of the job; increases by one.
    pub sequence: i64,
    pub time: SystemTime,
    /// The job's progress after the event, 0 to 100.
    pub progress_percent: u8,
    pub change: Change,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Always event 1, and only there.
    Created(Made),
    /// The first stage started.
    Started,
    /// The commit to check out is known.
    CommitResolved(String),
    /// A cancel was requested.
    Cancelling(Arc<Cancellation>),
    /// The complete new state of a stage run.
    StageRunChanged(Arc<StageRun>),
    StageProgressed {
        run: RunKey,
        /// 1 to 100.
        percent: u8,
    },
    /// Always the last event.
    Ended {
        /// A terminal state.
        state: JobState,
        /// Set on [`JobState::Failed`].
        failure: Option<Arc<Failure>>,
    },
}

/// The initial state of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// All stages are pending, as in nearly all jobs: the immutable part is the whole state.
    /// This form is compact, because very many such jobs may wait.
    Fresh(Arc<Origin>),
    /// A retry, with state carried over from the retried job.
    Whole(Arc<Job>),
}

impl Made {
    pub(super) fn of(job: &Job) -> Self {
        if job.is_fresh() {
            Self::Fresh(Arc::clone(&job.origin))
        } else {
            Self::Whole(Arc::new(job.clone()))
        }
    }

    pub fn job(&self) -> Job {
        match self {
            Self::Fresh(origin) => Job::fresh(Arc::clone(origin)),
            Self::Whole(job) => Job::clone(job),
        }
    }
}
