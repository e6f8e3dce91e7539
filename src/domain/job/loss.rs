//! Handles stages whose runner or workspace is lost.

use std::sync::Arc;

use crate::domain::{
    Demand, Failure, FailureReason, FencingToken, Holder, JobState, LogSummary, LostWorkspace,
    Refusal, RunCondition, RunKey, RunnerId, SkipReason, StageRun, StageState, StageType, limits,
};

use super::draft::Draft;

impl Draft {
    /// Puts a stage that its runner released unstarted back into the queue.
    pub(super) fn requeue(&mut self, run: StageRun) {
        if self.job.state == JobState::Cancelling {
            self.skip(&run, SkipReason::Cancelled);
            self.end_if_over();
            return;
        }
        self.emit_run(StageRun {
            state: StageState::Queued,
            holder: None,
            start_time: None,
            returns: run.returns + 1,
            ..run
        });
    }

    /// Fails the attempt. The next one, if allowed, is created in the same decision, so that
    /// no other commit can come in between.
    pub(super) fn lose(
        &mut self,
        run: RunKey,
        token: FencingToken,
        log: LogSummary,
    ) -> Result<(), Refusal> {
        let lost = self.running(run, token)?.clone();
        let is_retried = self.may_retry(&lost);
        let message = if is_retried {
            "its runner was lost; the stage is retried once"
        } else {
            self.no_retry_message(&lost)
        };
        let message = message.to_owned();
        self.fail(&lost, message, log);
        if is_retried {
            self.emit_run(StageRun {
                attempt: lost.attempt + 1,
                state: StageState::Queued,
                queue_time: Some(self.now),
                ..StageRun::first(lost.stage)
            });
        }
        self.advance();
        Ok(())
    }

    /// Fails ready stages that depend on what earlier stages left in the workspace. Stages
    /// that run on failure, or always, are for notification and cleanup: they get a new
    /// workspace on another runner.
    pub(super) fn lose_workspace(&mut self, lost: &LostWorkspace) {
        for stage in 0..self.job.pipeline.spec.stages.len() {
            let run = Arc::clone(self.job.newest_run(stage));
            let stage = self.job.stage(&run);
            let in_it =
                |holder: Holder| holder.runner_id == lost.runner_id && holder.token < lost.before;
            if run.state == StageState::Queued
                && stage.run_condition == RunCondition::OnSuccess
                && lost.offer.meets(&Demand::of(stage))
                && self.builds_on(&run, in_it)
            {
                let message = "the workspace in which earlier stages of the job ran is gone \
                               with its runner; retry the job";
                self.fail(&run, message.to_owned(), LogSummary::default());
            }
        }
        self.advance();
    }

    fn fail(&mut self, run: &StageRun, message: String, log: LogSummary) {
        self.emit_run(StageRun {
            state: StageState::Failed,
            failure: Some(Arc::new(Failure {
                reason: FailureReason::RunnerLost,
                message,
                stage_name: self.job.stage(run).name.clone(),
            })),
            log,
            end_time: Some(self.now),
            ..run.clone()
        });
    }

    fn may_retry(&self, lost: &StageRun) -> bool {
        self.job.state == JobState::Running
            && lost.attempt < limits::MAX_ATTEMPTS
            && self.job.stage(lost).stage_type != StageType::Deploy
            && !self.builds_on_its_runner(lost)
    }

    fn no_retry_message(&self, lost: &StageRun) -> &'static str {
        if self.job.state != JobState::Running {
            "its runner was lost while the job was being cancelled"
        } else if self.job.stage(lost).stage_type == StageType::Deploy {
            "its runner was lost; how far it got is not known, so a deployment is not \
             retried automatically"
        } else if lost.attempt >= limits::MAX_ATTEMPTS {
            "its runner was lost, and so was that of the previous attempt"
        } else {
            "its runner was lost, and with it the workspace in which earlier stages of the \
             job ran; retry the job"
        }
    }

    fn builds_on_its_runner(&self, run: &StageRun) -> bool {
        let runner = |holder: Holder| -> RunnerId { holder.runner_id };
        let own = run.holder.map(runner);
        self.builds_on(run, |holder| Some(holder.runner_id) == own)
    }

    /// Whether a stage that this one depends on ran in a workspace that matches `in_it`.
    fn builds_on(&self, run: &StageRun, in_it: impl Fn(Holder) -> bool) -> bool {
        let depends_on = self.job.pipeline.graph.depends_on(run.stage);
        depends_on.iter().any(|&stage| {
            let earlier = self.job.newest_run(stage);
            earlier.carried_from.is_none() && earlier.holder.is_some_and(&in_it)
        })
    }
}
