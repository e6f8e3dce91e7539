//! The state machine of a job: a command results in events.
//!
//! The transition function is total: it handles every pair of state and command. A pair
//! that must not occur returns a [`Refusal`]; it never panics and is never ignored silently.

use std::{sync::Arc, time::SystemTime};

use crate::domain::{
    Cancellation, Event, FencingToken, Holder, Job, JobId, JobState, LogSummary, Offer, Origin,
    Outcome, Pipeline, RunKey, RunnerId, Secrets, StageRun, Trigger, Variables,
};

use super::draft::Draft;

/// A command to a job's state machine.
#[derive(Clone, Debug)]
pub enum Command {
    /// The concurrency policy lets the job start: stages without dependencies become ready.
    Admit,
    /// A runner takes a stage that is ready.
    Start {
        run: RunKey,
        holder: Holder,
    },
    /// A runner reports the commit that it checked out; the first report wins.
    ResolveCommit {
        /// The run that checked it out.
        run: RunKey,
        token: FencingToken,
        /// Full commit id.
        commit_id: String,
    },
    /// A runner reports the progress of a stage.
    Progress {
        run: RunKey,
        token: FencingToken,
        /// 0 to 100; more counts as 100. A value not above the last report changes nothing.
        percent: u8,
    },
    /// A runner reports the result of a stage.
    Finish {
        run: RunKey,
        token: FencingToken,
        result: StageResult,
    },
    /// The lease of a running stage expired without a result from its runner.
    Lose {
        run: RunKey,
        token: FencingToken,
        /// What had arrived of its log.
        log: LogSummary,
    },
    /// A workspace of the job is lost: ready stages that depend on its contents fail.
    LoseWorkspace(LostWorkspace),
    Cancel(Cancellation),
}

/// A workspace that was lost with its runner, or that the runner no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostWorkspace {
    pub runner_id: RunnerId,
    /// The runner's offer: stages that demand more would have run elsewhere.
    pub offer: Arc<Offer>,
    /// Leases with this token or a later one did not use that workspace.
    pub before: FencingToken,
}

/// The result of a stage, as its runner reports it.
#[derive(Clone, Debug)]
pub struct StageResult {
    pub outcome: Outcome,
    /// Set if the command exited with a status, not by a signal.
    pub exit_code: Option<i32>,
    pub message: String,
    /// Its log.
    pub log: LogSummary,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The job has ended, in this state.
    JobEnded(JobState),
    /// The caller does not hold the stage's lease (any more): the stage is not ready, is not
    /// running, or runs under another token.
    LeaseLost,
}

/// The result of a command.
#[derive(Clone, Debug)]
pub struct Decision {
    /// In order; none if the command changes nothing.
    pub events: Vec<Event>,
    /// The job after the events.
    pub job: Job,
}

/// Decides which events a command results in. Commands to a job that has ended are refused,
/// except those that request a state that already holds.
pub fn decide(job: &Job, command: Command, now: SystemTime) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(job, now);
    match (job.state, command) {
        (JobState::Queued | JobState::Running, Command::Admit) => draft.advance(),
        (JobState::Queued | JobState::Running, Command::Start { run, holder }) => {
            draft.start(run, holder)?;
        }
        (JobState::Queued | JobState::Running, Command::Cancel(cancellation)) => {
            draft.cancel(cancellation);
        }
        (
            JobState::Running | JobState::Cancelling,
            Command::ResolveCommit {
                run,
                token,
                commit_id,
            },
        ) => draft.resolve_commit(run, token, commit_id)?,
        (
            JobState::Running | JobState::Cancelling,
            Command::Progress {
                run,
                token,
                percent,
            },
        ) => draft.progress(run, token, percent)?,
        (JobState::Running | JobState::Cancelling, Command::Finish { run, token, result }) => {
            draft.finish(run, token, result)?;
        }
        (JobState::Running | JobState::Cancelling, Command::Lose { run, token, log }) => {
            draft.lose(run, token, log)?
        }
        (JobState::Running, Command::LoseWorkspace(lost)) => draft.lose_workspace(&lost),
        (JobState::Cancelling | JobState::Cancelled, Command::Cancel(_) | Command::Admit)
        | (JobState::Succeeded | JobState::Failed, Command::Admit)
        | (
            JobState::Queued
            | JobState::Cancelling
            | JobState::Succeeded
            | JobState::Failed
            | JobState::Cancelled,
            Command::LoseWorkspace(_),
        ) => {}
        (JobState::Succeeded | JobState::Failed, Command::Cancel(_)) => {
            return Err(Refusal::JobEnded(job.state));
        }
        (JobState::Cancelling, Command::Start { .. })
        | (
            JobState::Queued,
            Command::ResolveCommit { .. }
            | Command::Progress { .. }
            | Command::Finish { .. }
            | Command::Lose { .. },
        )
        | (
            JobState::Succeeded | JobState::Failed | JobState::Cancelled,
            Command::Start { .. }
            | Command::ResolveCommit { .. }
            | Command::Progress { .. }
            | Command::Finish { .. }
            | Command::Lose { .. },
        ) => return Err(Refusal::LeaseLost),
    }
    Ok(draft.into_decision())
}

/// The parameters of a new job.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub id: JobId,
    /// The revision that it runs.
    pub pipeline: Arc<Pipeline>,
    /// Ref to check out; empty for the remote's HEAD.
    pub git_ref: String,
    /// Commit to check out; empty for the ref's.
    pub commit_id: String,
    pub trigger: Trigger,
    /// Variables of the trigger.
    pub variables: Variables,
    /// Secret variables of the trigger; never shown.
    pub secret_variables: Secrets,
    /// Jobs with a higher priority run earlier.
    pub priority: i32,
    /// The job that this one retries.
    pub retried_job_id: Option<JobId>,
    /// One per stage. A run carried over from the retried job is not pending.
    pub stage_runs: Vec<Arc<StageRun>>,
    /// The weight of each stage in the job's progress; empty means equal weights.
    pub weights: Vec<u64>,
}

/// Creates a job, the `number`th of its pipeline. If it is not admitted, it waits for
/// [`Command::Admit`].
pub fn create(new: NewJob, number: i64, admitted: bool, now: SystemTime) -> Decision {
    let origin = Origin {
        id: new.id,
        pipeline: new.pipeline,
        number,
        git_ref: new.git_ref,
        trigger: new.trigger,
        retried_job_id: new.retried_job_id,
        variables: new.variables,
        secret_variables: new.secret_variables,
        priority: new.priority,
        weights: new.weights,
        create_time: now,
    };
    let job = Job::with_runs(Arc::new(origin), new.stage_runs, new.commit_id);
    let mut draft = Draft::made(job, now);
    if admitted {
        draft.advance();
    }
    draft.into_decision()
}
