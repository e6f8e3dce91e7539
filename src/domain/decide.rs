//! The state machine of a job: which events a command leads to.
//!
//! Total: every pair of state and command has an answer, and a pair that must not
//! happen is a [`Refusal`], never a panic and never a silent nothing.

use std::{sync::Arc, time::SystemTime};

use super::{
    Cancellation, Change, Event, Failure, FailureReason, FencingToken, Holder, Job, JobState,
    Outcome, Pipeline, RunKey, SkipReason, StageRun, StageState, Trigger, Variables, Verdict,
    graph::verdict, ids::JobId, limits,
};

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
    /// A runner tells how a stage ended.
    Finish {
        /// Which run.
        run: RunKey,
        /// Token of the runner's lease.
        token: FencingToken,
        /// How it ended.
        result: StageResult,
    },
    /// The job has to stop.
    Cancel(Cancellation),
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
    /// Bytes of its log.
    pub log_size: u64,
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
        ) => {
            draft.running(run, token)?;
            draft.resolve_commit(commit_id);
        }
        (JobState::Running | JobState::Cancelling, Command::Finish { run, token, result }) => {
            draft.finish(run, token, result)?;
        }
        (JobState::Cancelling | JobState::Cancelled, Command::Cancel(_) | Command::Admit)
        | (JobState::Succeeded | JobState::Failed, Command::Admit) => {}
        (JobState::Succeeded | JobState::Failed, Command::Cancel(_)) => {
            return Err(Refusal::JobEnded(job.state));
        }
        (JobState::Queued, Command::ResolveCommit { .. } | Command::Finish { .. })
        | (JobState::Cancelling, Command::Start { .. })
        | (
            JobState::Succeeded | JobState::Failed | JobState::Cancelled,
            Command::Start { .. } | Command::ResolveCommit { .. } | Command::Finish { .. },
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
    /// Higher runs earlier.
    pub priority: i32,
    /// The job that this one repeats.
    pub retried_job_id: Option<JobId>,
    /// One per stage; not pending where an earlier job's end of it is kept.
    pub stage_runs: Vec<StageRun>,
}

/// Makes a job, the `number`th of its pipeline. One that is not admitted waits for
/// [`Command::Admit`].
pub fn create(new: NewJob, number: i64, admitted: bool, now: SystemTime) -> Decision {
    let mut job = Job {
        id: new.id,
        pipeline: new.pipeline,
        number,
        state: JobState::Queued,
        progress_percent: 0,
        stage_runs: new.stage_runs.into_iter().map(Arc::new).collect(),
        git_ref: new.git_ref,
        commit_id: new.commit_id,
        trigger: new.trigger,
        retried_job_id: new.retried_job_id,
        failure: None,
        variables: new.variables,
        priority: new.priority,
        create_time: now,
        start_time: None,
        end_time: None,
        last_sequence: 1,
        cancellation: None,
    };
    job.progress_percent = progress(&job);
    let created = Event {
        sequence: 1,
        time: now,
        progress_percent: job.progress_percent,
        change: Change::Created(Box::new(job.clone())),
    };
    let mut draft = Draft::new(&job, now);
    draft.events.push(created);
    if admitted {
        draft.advance();
    }
    draft.into_decision()
}

/// A job on which events are tried out.
struct Draft {
    job: Job,
    now: SystemTime,
    events: Vec<Event>,
}

impl Draft {
    fn new(job: &Job, now: SystemTime) -> Self {
        Self {
            job: job.clone(),
            now,
            events: Vec::new(),
        }
    }

    fn into_decision(self) -> Decision {
        Decision {
            events: self.events,
            job: self.job,
        }
    }

    fn emit(&mut self, change: Change) {
        let mut event = Event {
            sequence: self.job.last_sequence + 1,
            time: self.now,
            progress_percent: self.job.progress_percent,
            change,
        };
        self.job.apply(&event);
        // Kept in the event, so that a replay never has to work it out again.
        event.progress_percent = progress(&self.job);
        self.job.progress_percent = event.progress_percent;
        self.events.push(event);
    }

    fn emit_run(&mut self, run: StageRun) {
        self.emit(Change::StageRunChanged(Arc::new(run)));
    }

    fn start(&mut self, run: RunKey, holder: Holder) -> Result<(), Refusal> {
        let ready = self
            .job
            .run(run)
            .filter(|run| run.state == StageState::Queued);
        let run = StageRun {
            state: StageState::Running,
            holder: Some(holder),
            start_time: Some(self.now),
            ..StageRun::clone(ready.ok_or(Refusal::LeaseLost)?)
        };
        if self.job.state == JobState::Queued {
            self.emit(Change::Started);
        }
        self.emit_run(run);
        Ok(())
    }

    /// The run, if it is running under this token.
    fn running(&self, run: RunKey, token: FencingToken) -> Result<&StageRun, Refusal> {
        self.job
            .run(run)
            .filter(|run| run.state == StageState::Running)
            .filter(|run| run.holder.is_some_and(|holder| holder.token == token))
            .map(Arc::as_ref)
            .ok_or(Refusal::LeaseLost)
    }

    fn resolve_commit(&mut self, commit_id: String) {
        if self.job.commit_id.is_empty() && !commit_id.is_empty() {
            self.emit(Change::CommitResolved(commit_id));
        }
    }

    fn finish(
        &mut self,
        run: RunKey,
        token: FencingToken,
        result: StageResult,
    ) -> Result<(), Refusal> {
        let run = self.running(run, token)?.clone();
        let (state, failure) = self.ending(&run, &result);
        self.emit_run(StageRun {
            state,
            failure,
            exit_code: result.exit_code,
            log_size: result.log_size,
            end_time: Some(self.now),
            ..run
        });
        self.advance();
        Ok(())
    }

    fn ending(&self, run: &StageRun, result: &StageResult) -> (StageState, Option<Failure>) {
        let reason = match result.outcome {
            Outcome::Succeeded => return (StageState::Succeeded, None),
            Outcome::Cancelled if self.job.state == JobState::Cancelling => {
                return (StageState::Cancelled, None);
            }
            Outcome::CommandFailed => FailureReason::CommandFailed,
            Outcome::TimedOut => FailureReason::TimedOut,
            Outcome::CheckoutFailed => FailureReason::CheckoutFailed,
            // A runner that stops a stage unasked has broken off its work.
            Outcome::Cancelled | Outcome::RunnerError => FailureReason::RunnerError,
        };
        let failure = Failure {
            reason,
            message: cut(&result.message, limits::MAX_FAILURE_MESSAGE).to_owned(),
            stage_name: self.job.stage(run).name.clone(),
        };
        (StageState::Failed, Some(failure))
    }

    fn cancel(&mut self, cancellation: Cancellation) {
        self.emit(Change::Cancelling(cancellation));
        for position in 0..self.job.stage_runs.len() {
            let run = Arc::clone(&self.job.stage_runs[position]);
            if matches!(run.state, StageState::Pending | StageState::Queued) {
                self.skip(&run, SkipReason::Cancelled);
            }
        }
        self.end_if_over();
    }

    /// Moves on every stage whose direct needs are over. In the graph's order, so
    /// that a stage that is skipped is over before those that need it are looked at.
    fn advance(&mut self) {
        let pipeline = Arc::clone(&self.job.pipeline);
        for &stage in pipeline.graph.order() {
            let run = Arc::clone(self.job.newest_run(stage));
            if run.state != StageState::Pending || !self.are_over(pipeline.graph.direct(stage)) {
                continue;
            }
            let failed = self.any_failed(pipeline.graph.depends_on(stage));
            match verdict(pipeline.spec.stages[stage].run_condition, failed) {
                Verdict::Run => self.emit_run(StageRun {
                    state: StageState::Queued,
                    queue_time: Some(self.now),
                    ..StageRun::clone(&run)
                }),
                Verdict::Skip(reason) => self.skip(&run, reason),
            }
        }
        self.end_if_over();
    }

    fn skip(&mut self, run: &StageRun, reason: SkipReason) {
        self.emit_run(StageRun {
            state: StageState::Skipped(reason),
            end_time: Some(self.now),
            ..run.clone()
        });
    }

    fn are_over(&self, stages: &[usize]) -> bool {
        stages
            .iter()
            .all(|&stage| self.job.newest_run(stage).state.is_terminal())
    }

    fn any_failed(&self, stages: &[usize]) -> bool {
        stages
            .iter()
            .any(|&stage| self.job.newest_run(stage).state == StageState::Failed)
    }

    fn end_if_over(&mut self) {
        if !self.job.newest_runs().all(|run| run.state.is_terminal()) {
            return;
        }
        let failure = self.job.newest_runs().find_map(|run| run.failure.clone());
        let (state, failure) = match (self.job.state, failure) {
            (JobState::Cancelling, _) => (JobState::Cancelled, None),
            (_, Some(failure)) => (JobState::Failed, Some(failure)),
            (_, None) => (JobState::Succeeded, None),
        };
        self.emit(Change::Ended { state, failure });
    }
}

/// The share of the stages that are over, each counting alike. Never falls, and is
/// 100 only for a job that succeeded.
fn progress(job: &Job) -> u8 {
    if job.state == JobState::Succeeded {
        return 100;
    }
    let stages = job.pipeline.spec.stages.len();
    let over = job
        .newest_runs()
        .filter(|run| run.state.is_terminal())
        .count();
    let share = u8::try_from(over * 100 / stages.max(1))
        .unwrap_or(99)
        .min(99);
    share.max(job.progress_percent)
}

/// The longest beginning of a text that has at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
