//! Jobs: their state, the events that change it, and the commands that result in events.

mod admission;
mod decide;
mod draft;
mod event;
mod facts;
mod log;
mod loss;
mod outcome;
mod retry;
#[cfg(test)]
mod tests;
mod weights;

use std::{
    ops::Deref,
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use super::{
    FencingToken, JobId, Pipeline, RunnerId, Secrets, Stage, TraceContext, Variables, limits,
};

pub use admission::{Admission, admission};
pub use decide::{Command, Decision, LostWorkspace, NewJob, Refusal, StageResult, create, decide};
pub use event::{Change, Event, Made};
pub use facts::{JobFacts, StageCounts, StageTimes};
pub use log::{GapReason, LogLoss, LogSummary};
pub use outcome::Outcome;
pub use retry::{RetryScope, retried_runs};
pub use weights::{StageDurations, stage_durations, stage_weights};

/// One execution of one revision of a pipeline: the fold of its events.
///
/// The immutable part and the stage runs are shared. So a job is cheap to copy for a
/// decision, and small while it waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The immutable part.
    pub origin: Arc<Origin>,
    pub state: JobState,
    /// Completed share of the work, 0 to 100; never falls; 100 only on success.
    pub progress_percent: u8,
    /// One per stage and attempt, in pipeline order.
    pub stage_runs: Vec<Arc<StageRun>>,
    /// Commit that was checked out; empty until the first checkout.
    pub commit_id: String,
    /// Set on [`JobState::Failed`].
    pub failure: Option<Arc<Failure>>,
    /// When its first stage started.
    pub start_time: Option<SystemTime>,
    /// When it became terminal.
    pub end_time: Option<SystemTime>,
    /// Sequence of its newest event.
    pub last_sequence: i64,
    /// Time of its newest event. Times never decrease, even if the clock is set back.
    pub last_time: SystemTime,
    pub cancellation: Option<Arc<Cancellation>>,
}

/// The immutable part of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    pub id: JobId,
    /// The revision that it runs.
    pub pipeline: Arc<Pipeline>,
    /// 1 for the pipeline's first job.
    pub number: i64,
    /// Requested ref; empty for the remote's HEAD.
    pub git_ref: String,
    pub trigger: Trigger,
    /// The job that this one retries.
    pub retried_job_id: Option<JobId>,
    /// Variables of the trigger.
    pub variables: Variables,
    /// Secret variables of the trigger; never shown.
    pub secret_variables: Secrets,
    /// Jobs with a higher priority run earlier.
    pub priority: i32,
    /// The weight of each stage in the progress; empty means equal weights.
    pub weights: Vec<u64>,
    pub create_time: SystemTime,
}

impl Deref for Job {
    type Target = Origin;

    fn deref(&self) -> &Origin {
        &self.origin
    }
}

impl Job {
    /// A job right after its creation, with all stages pending.
    pub(super) fn fresh(origin: Arc<Origin>) -> Self {
        let stages = 0..origin.pipeline.spec.stages.len();
        let stage_runs = stages.map(StageRun::pending).collect();
        Self::with_runs(origin, stage_runs, String::new())
    }

    /// As [`fresh`](Self::fresh), with state carried over from another job.
    pub(super) fn with_runs(
        origin: Arc<Origin>,
        stage_runs: Vec<Arc<StageRun>>,
        commit_id: String,
    ) -> Self {
        let create_time = origin.create_time;
        Self {
            stage_runs,
            origin,
            state: JobState::Queued,
            progress_percent: 0,
            commit_id,
            failure: None,
            start_time: None,
            end_time: None,
            last_sequence: 1,
            last_time: create_time,
            cancellation: None,
        }
    }

    /// Whether it equals the result of [`fresh`](Self::fresh).
    pub(super) fn is_fresh(&self) -> bool {
        let Self {
            origin,
            state,
            progress_percent,
            stage_runs,
            commit_id,
            failure,
            start_time,
            end_time,
            last_sequence,
            last_time,
            cancellation,
        } = self;
        let is_first = |(stage, run): (usize, &Arc<StageRun>)| **run == StageRun::first(stage);
        (*state, *progress_percent, *last_sequence) == (JobState::Queued, 0, 1)
            && commit_id.is_empty()
            && failure.is_none()
            && (*start_time, *end_time) == (None, None)
            && *last_time == origin.create_time
            && cancellation.is_none()
            && stage_runs.len() == origin.pipeline.spec.stages.len()
            && stage_runs.iter().enumerate().all(is_first)
    }

    /// Folds one event into the job.
    ///
    /// # Panics
    /// If the event is not the next one: a journal with a gap must not be read further.
    pub fn apply(&mut self, event: &Event) {
        assert_eq!(
            event.sequence,
            self.last_sequence + 1,
            "events of a job are applied in order"
        );
        self.last_sequence = event.sequence;
        self.last_time = event.time;
        self.progress_percent = event.progress_percent;
        match &event.change {
            Change::Created(made) => *self = made.job(),
            Change::Started => {
                self.state = JobState::Running;
                self.start_time = Some(event.time);
            }
            Change::CommitResolved(commit) => self.commit_id.clone_from(commit),
            Change::Cancelling(cancellation) => {
                self.state = JobState::Cancelling;
                self.cancellation = Some(Arc::clone(cancellation));
            }
            Change::StageRunChanged(run) => self.put(run),
            Change::StageProgressed { run, percent } => {
                let position = self.position(*run);
                Arc::make_mut(&mut self.stage_runs[position]).progress_percent = *percent;
            }
            Change::Ended { state, failure } => {
                self.state = *state;
                self.failure.clone_from(failure);
                self.end_time = Some(event.time);
            }
        }
    }

    /// Folds all events of a job, from the first on. None if the first is not `Created`.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<Self> {
        let mut events = events.into_iter();
        let Change::Created(made) = &events.next()?.change else {
            return None;
        };
        let mut job = made.job();
        events.for_each(|event| job.apply(event));
        Some(job)
    }

    /// The newest attempt at a stage, by the stage's position in the pipeline.
    pub fn newest_run(&self, stage: usize) -> &Arc<StageRun> {
        // Each earlier stage has at least one run, so the search can start at this index.
        self.stage_runs[stage..]
            .iter()
            .skip_while(|run| run.stage < stage)
            .take_while(|run| run.stage == stage)
            .last()
            .expect("a job has a run of each of its stages")
    }

    /// The newest attempt at each stage, in pipeline order.
    pub fn newest_runs(&self) -> impl Iterator<Item = &Arc<StageRun>> {
        self.stage_runs
            .chunk_by(|one, next| one.stage == next.stage)
            .filter_map(<[_]>::last)
    }

    /// An attempt at a stage; the newest one if `attempt` is none.
    pub fn find_run(&self, stage_name: &str, attempt: Option<u32>) -> Option<&Arc<StageRun>> {
        self.stage_runs.iter().rfind(|run| {
            self.stage(run).name == stage_name && attempt.is_none_or(|wanted| run.attempt == wanted)
        })
    }

    pub fn stage(&self, run: &StageRun) -> &Stage {
        &self.pipeline.spec.stages[run.stage]
    }

    pub fn run(&self, key: RunKey) -> Option<&Arc<StageRun>> {
        self.stage_runs.iter().find(|run| run.key() == key)
    }

    /// Replaces a run, or adds the next attempt after those of its stage.
    fn put(&mut self, run: &Arc<StageRun>) {
        let key = |run: &Arc<StageRun>| run.key();
        match self.stage_runs.binary_search_by_key(&run.key(), key) {
            Ok(position) => self.stage_runs[position] = Arc::clone(run),
            Err(position) => self.stage_runs.insert(position, Arc::clone(run)),
        }
    }

    fn position(&self, key: RunKey) -> usize {
        self.stage_runs
            .iter()
            .position(|run| run.key() == key)
            .expect("an event names a run that the job has")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// No stage has started.
    Queued,
    /// At least one stage has started.
    Running,
    /// A cancel was requested; stages are still stopping.
    Cancelling,
    /// Terminal: no stage failed.
    Succeeded,
    /// Terminal: a stage failed.
    Failed,
    /// Terminal: cancelled, and all its processes have ended.
    Cancelled,
}

impl JobState {
    /// All states, in lifecycle order.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Cancelling,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    pub fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Cancelling => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// One attempt at one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageRun {
    /// Position of the stage in the pipeline.
    pub stage: usize,
    /// 1 for the first attempt.
    pub attempt: u32,
    pub state: StageState,
    /// As the runner reports it, 0 to 100; never decreases; 100 once it has succeeded.
    pub progress_percent: u8,
    /// Set if the command exited with a status, not by a signal.
    pub exit_code: Option<i32>,
    /// Set on [`StageState::Failed`].
    pub failure: Option<Arc<Failure>>,
    /// The runner that holds or held it, and the token of its lease.
    pub holder: Option<Holder>,
    /// Its log, once it is over.
    pub log: LogSummary,
    /// When it became ready.
    pub queue_time: Option<SystemTime>,
    /// When a runner took it.
    pub start_time: Option<SystemTime>,
    /// When it became terminal.
    pub end_time: Option<SystemTime>,
    /// It succeeded in this earlier job and was not run again.
    pub carried_from: Option<JobId>,
    /// How often a runner released it without starting it.
    pub returns: u8,
}

impl StageRun {
    /// The first attempt at a stage, pending. All jobs share the same value, because very
    /// many jobs may wait.
    pub fn pending(stage: usize) -> Arc<Self> {
        static PENDING: LazyLock<Vec<Arc<StageRun>>> = LazyLock::new(|| {
            let stages = 0..limits::MAX_STAGES;
            stages.map(StageRun::first).map(Arc::new).collect()
        });
        let shared = PENDING.get(stage).map(Arc::clone);
        shared.unwrap_or_else(|| Arc::new(Self::first(stage)))
    }

    pub(super) fn first(stage: usize) -> Self {
        Self {
            stage,
            attempt: 1,
            state: StageState::Pending,
            progress_percent: 0,
            exit_code: None,
            failure: None,
            holder: None,
            log: LogSummary::default(),
            queue_time: None,
            start_time: None,
            end_time: None,
            carried_from: None,
            returns: 0,
        }
    }

    pub fn key(&self) -> RunKey {
        RunKey {
            stage: self.stage,
            attempt: self.attempt,
        }
    }
}

/// Identifies a stage run within its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunKey {
    /// Position of the stage in the pipeline.
    pub stage: usize,
    /// From 1.
    pub attempt: u32,
}

/// The runner that holds the lease of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub runner_id: RunnerId,
    /// The token that its writes must carry.
    pub token: FencingToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageState {
    /// Waits for the stages that it needs, or for its job's admission.
    Pending,
    /// Ready; waits for a runner.
    Queued,
    /// A runner holds it.
    Running,
    Succeeded,
    Failed,
    Cancelled,
    /// Terminal: never ran.
    Skipped(SkipReason),
}

impl StageState {
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped(_) => true,
        }
    }
}

/// Why a stage never ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// A stage that it depends on failed.
    NeedsFailed,
    /// Its condition is `OnFailure`, and no stage failed.
    Condition,
    /// The job was cancelled first.
    Cancelled,
}

/// Why a stage has not started yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingReason {
    /// Stages that it needs are not over.
    Needs,
    /// Another job of the pipeline is active.
    Concurrency,
    /// No runner with the required labels is connected.
    NoMatchingRunner,
    /// Every matching runner is busy.
    RunnersBusy,
    /// Runners with the required labels are connected, but none supports the stage's action.
    NoCapableRunner,
}

/// Why a stage or a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: FailureReason,
    /// At most 2 KiB.
    pub message: String,
    pub stage_name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The command exited with a status other than 0, or was ended by a signal.
    CommandFailed,
    /// The stage's timeout passed.
    TimedOut,
    /// The source could not be checked out.
    CheckoutFailed,
    /// The runner could not start the command.
    RunnerError,
    /// The runner stopped renewing its lease, or its workspace is lost.
    RunnerLost,
}

/// Why a job is being or was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    pub cause: CancelCause,
    /// The reason that the caller gave.
    pub reason: String,
    /// The principal that requested it.
    pub principal: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelCause {
    /// A caller requested it.
    Requested,
    /// This newer job of the pipeline replaced it.
    Superseded(JobId),
    /// Its pipeline was deleted.
    PipelineDeleted,
    /// The service stopped.
    ServerStopped,
}

/// Why a job was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    pub source: TriggerSource,
    /// Name of the principal that requested it.
    pub principal: String,
    /// The trace context of the request; the job's commands continue the trace.
    pub trace: Option<Arc<TraceContext>>,
}

/// What started a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerSource {
    /// A call of the API.
    Api,
    /// A retry of an earlier job.
    Retry,
}
