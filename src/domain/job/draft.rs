//! Applies the events of a command to a copy of the job.

use std::{sync::Arc, time::SystemTime};

use crate::domain::{
    Cancellation, Change, Decision, Event, Failure, FailureReason, FencingToken, Holder, Job,
    JobState, Made, Outcome, Refusal, RunKey, SkipReason, StageResult, StageRun, StageState,
    Verdict, cut, limits, verdict,
};

/// A copy of a job to which the events of a command are applied.
pub(super) struct Draft {
    pub(super) job: Job,
    pub(super) now: SystemTime,
    events: Vec<Event>,
}

impl Draft {
    pub(super) fn new(job: &Job, now: SystemTime) -> Self {
        Self {
            job: job.clone(),
            // The times of a job's events never decrease, even if the clock was set back.
            now: now.max(job.last_time),
            events: Vec::new(),
        }
    }

    /// A new job, with its first event.
    pub(super) fn made(mut job: Job, now: SystemTime) -> Self {
        job.progress_percent = progress(&job);
        let created = Event {
            sequence: job.last_sequence,
            time: now,
            progress_percent: job.progress_percent,
            change: Change::Created(Made::of(&job)),
        };
        Self {
            job,
            now,
            events: vec![created],
        }
    }

    pub(super) fn into_decision(self) -> Decision {
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
        // Stored in the event, so that a replay does not have to compute it.
        event.progress_percent = progress(&self.job);
        self.job.progress_percent = event.progress_percent;
        self.events.push(event);
    }

    pub(super) fn emit_run(&mut self, run: StageRun) {
        self.emit(Change::StageRunChanged(Arc::new(run)));
    }

    pub(super) fn start(&mut self, run: RunKey, holder: Holder) -> Result<(), Refusal> {
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

    /// The run, if it is running with this token.
    pub(super) fn running(&self, run: RunKey, token: FencingToken) -> Result<&StageRun, Refusal> {
        self.job
            .run(run)
            .filter(|run| run.state == StageState::Running)
            .filter(|run| run.holder.is_some_and(|holder| holder.token == token))
            .map(Arc::as_ref)
            .ok_or(Refusal::LeaseLost)
    }

    pub(super) fn resolve_commit(
        &mut self,
        run: RunKey,
        token: FencingToken,
        commit_id: String,
    ) -> Result<(), Refusal> {
        self.running(run, token)?;
        if self.job.commit_id.is_empty() && !commit_id.is_empty() {
            self.emit(Change::CommitResolved(commit_id));
        }
        Ok(())
    }

    pub(super) fn progress(
        &mut self,
        run: RunKey,
        token: FencingToken,
        percent: u8,
    ) -> Result<(), Refusal> {
        let percent = percent.min(100);
        if percent > self.running(run, token)?.progress_percent {
            self.emit(Change::StageProgressed { run, percent });
        }
        Ok(())
    }

    pub(super) fn finish(
        &mut self,
        run: RunKey,
        token: FencingToken,
        result: StageResult,
    ) -> Result<(), Refusal> {
        let run = self.running(run, token)?.clone();
        if result.outcome == Outcome::Returned && run.returns < limits::MAX_RETURNS {
            self.requeue(run);
            return Ok(());
        }
        let (state, failure) = self.ending(&run, &result);
        self.emit_run(StageRun {
            state,
            progress_percent: if state == StageState::Succeeded {
                100
            } else {
                run.progress_percent
            },
            failure,
            exit_code: result.exit_code,
            log: result.log,
            end_time: Some(self.now),
            ..run
        });
        self.advance();
        Ok(())
    }

    fn ending(&self, run: &StageRun, result: &StageResult) -> (StageState, Option<Arc<Failure>>) {
        let reason = match result.outcome {
            Outcome::Succeeded => return (StageState::Succeeded, None),
            Outcome::Cancelled if self.job.state == JobState::Cancelling => {
                return (StageState::Cancelled, None);
            }
            Outcome::CommandFailed => FailureReason::CommandFailed,
            Outcome::TimedOut => FailureReason::TimedOut,
            Outcome::CheckoutFailed => FailureReason::CheckoutFailed,
            // The runner stopped the stage although no cancel was requested.
            Outcome::Cancelled | Outcome::RunnerError | Outcome::Returned => {
                FailureReason::RunnerError
            }
        };
        let failure = Failure {
            reason,
            message: cut(&result.message, limits::MAX_FAILURE_MESSAGE).to_owned(),
            stage_name: self.job.stage(run).name.clone(),
        };
        (StageState::Failed, Some(Arc::new(failure)))
    }

    pub(super) fn cancel(&mut self, cancellation: Cancellation) {
        self.emit(Change::Cancelling(Arc::new(cancellation)));
        for position in 0..self.job.stage_runs.len() {
            let run = Arc::clone(&self.job.stage_runs[position]);
            if matches!(run.state, StageState::Pending | StageState::Queued) {
                self.skip(&run, SkipReason::Cancelled);
            }
        }
        self.end_if_over();
    }

    /// Queues or skips every pending stage whose direct needs are over. In topological order,
    /// so that a skipped stage is over before the stages that need it are checked.
    pub(super) fn advance(&mut self) {
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

    pub(super) fn skip(&mut self, run: &StageRun, reason: SkipReason) {
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

    pub(super) fn end_if_over(&mut self) {
        if !self.job.newest_runs().all(|run| run.state.is_terminal()) {
            return;
        }
        let failed = self.job.newest_runs().filter(|run| run.failure.is_some());
        let failure = failed
            .min_by_key(|run| run.end_time)
            .and_then(|run| run.failure.clone());
        let (state, failure) = match (self.job.state, failure) {
            (JobState::Cancelling, _) => (JobState::Cancelled, None),
            (_, Some(failure)) => (JobState::Failed, Some(failure)),
            (_, None) => (JobState::Succeeded, None),
        };
        self.emit(Change::Ended { state, failure });
    }
}

/// The completed share of the work. Never falls, and is 100 only for a job that succeeded.
///
/// A stage that ended without success counts as far as it came, and one that never ran not
/// at all; only one that was not meant to run has nothing left to do.
fn progress(job: &Job) -> u8 {
    if job.state == JobState::Succeeded {
        return 100;
    }
    let weight = |run: &StageRun| u128::from(job.weights.get(run.stage).copied().unwrap_or(1));
    let completed = |run: &StageRun| match run.state {
        StageState::Succeeded | StageState::Skipped(SkipReason::Condition) => 100,
        StageState::Pending
        | StageState::Queued
        | StageState::Running
        | StageState::Failed
        | StageState::Cancelled
        | StageState::Skipped(SkipReason::NeedsFailed | SkipReason::Cancelled) => {
            u128::from(run.progress_percent)
        }
    };
    let done: u128 = job
        .newest_runs()
        .map(|run| weight(run) * completed(run))
        .sum();
    let all: u128 = job.newest_runs().map(|run| weight(run)).sum();
    let share = u8::try_from(done / all.max(1)).unwrap_or(99).min(99);
    share.max(job.progress_percent)
}
