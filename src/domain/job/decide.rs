//! The state machine of a job: which events a command leads to.
//!
//! Total: every pair of state and command has an answer, and a pair that must not
//! happen is a [`Refusal`], never a panic and never a silent nothing.

use std::{sync::Arc, time::SystemTime};

use crate::domain::{
    Cancellation, Event, FencingToken, Holder, Job, JobId, JobState, LogSummary, Offer, Origin,
    Outcome, Pipeline, RunKey, RunnerId, Secrets, StageRun, Trigger, Variables,
};

use super::draft::Draft;

/// What can be asked of a job.
#[derive(Clone, Debug)]
pub enum Command {
    /// It is the job's turn: stages that wait for nothing become ready.
    Admit,
    /// A runner takes a stage that is ready.
    Start {
        /// Which run.
        run: RunKey,
        /// Who takes it.
        holder: Holder,
    },
    /// A runner tells the commit that it checked out; the first report wins.
    ResolveCommit {
        /// The run that checked it out.
        run: RunKey,
        /// Token of the runner's lease.
        token: FencingToken,
        /// Full commit id.
        commit_id: String,
    },
    /// A runner tells how far a stage is.
    Progress {
        /// Which run.
        run: RunKey,
        /// Token of the runner's lease.
        token: FencingToken,
        /// 0 to 100; more counts as 100, and what is not above the last report changes nothing.
        percent: u8,
    },
    /// A runner tells how a stage ended.
    Finish {
        /// Which run.
        run: RunKey,
        /// Token of the runner's lease.
        token: FencingToken,
        /// How it ended.
        result: StageResult,
    },
    /// The lease of a running stage is over without a word from its runner.
    Lose {
        /// Which run.
        run: RunKey,
        /// Token of the lease.
        token: FencingToken,
        /// What had arrived of its log.
        log: LogSummary,
    },
    /// A workspace of the job is gone: ready stages that build on what was in it fail.
    LoseWorkspace(LostWorkspace),
    /// The job has to stop.
    Cancel(Cancellation),
}

/// A workspace that went away with its runner, or that the runner no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostWorkspace {
    /// Whose it was.
    pub runner_id: RunnerId,
    /// What the runner offered: stages that ask for more would have run elsewhere.
    pub offer: Arc<Offer>,
    /// Leases with this token and later ones are not of that workspace.
    pub before: FencingToken,
}

/// How a stage ended, as its runner tells it.
#[derive(Clone, Debug)]
pub struct StageResult {
    /// Class of the end.
    pub outcome: Outcome,
    /// Set when the command ended by itself.
    pub exit_code: Option<i32>,
    /// For people.
    pub message: String,
    /// Its log.
    pub log: LogSummary,
}

/// Why a job does not do what a command asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has ended, in this state.
    JobEnded(JobState),
    /// The writer does not hold the stage, or no longer: the stage is not ready,
    /// not running, or runs under another token.
    LeaseLost,
}

/// What a command leads to: the events, and the job after them.
#[derive(Clone, Debug)]
pub struct Decision {
    /// In order; none if the command changes nothing.
    pub events: Vec<Event>,
    /// The job after the events.
    pub job: Job,
}

/// Decides on a command. Commands of a job that has ended are refused, but for
/// those that ask for what is already so.
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

/// What a new job is made of.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The revision that it runs.
    pub pipeline: Arc<Pipeline>,
    /// Ref to check out; empty for the remote's HEAD.
    pub git_ref: String,
    /// Commit to check out; empty for the ref's.
    pub commit_id: String,
    /// Why it is started.
    pub trigger: Trigger,
    /// Variables of the trigger.
    pub variables: Variables,
    /// More variables of the trigger; never shown.
    pub secret_variables: Secrets,
    /// Higher runs earlier.
    pub priority: i32,
    /// The job that this one repeats.
    pub retried_job_id: Option<JobId>,
    /// One per stage; not pending where an earlier job's end of it is kept.
    pub stage_runs: Vec<Arc<StageRun>>,
    /// What each stage counts for in the job's progress; none: all alike.
    pub weights: Vec<u64>,
}

/// Makes a job, the `number`th of its pipeline. One that is not admitted waits for
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
