//! What becomes of stages whose runner, or whose workspace, is gone.

use std::sync::Arc;

use crate::domain::{
    Demand, Failure, FailureReason, FencingToken, Holder, JobState, LogSummary, LostWorkspace,
    Refusal, RunCondition, RunKey, RunnerId, SkipReason, StageRun, StageState, StageType, limits,
};

use super::draft::Draft;

impl Draft {
    /// The stage waits for a runner again, as if it had not been given out.
    pub(super) fn take_back(&mut self, run: StageRun) {
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

    /// The attempt has failed; the next one, if there may be one, is made in the
    /// same decision, so that no commit can come between.
    pub(super) fn lose(
        &mut self,
        run: RunKey,
        token: FencingToken,
        log: LogSummary,
    ) -> Result<(), Refusal> {
        let lost = self.running(run, token)?.clone();
        let again = self.may_run_again(&lost);
        let message = match again {
            true => "its runner was lost; the stage is tried once more",
            false => self.why_not_again(&lost),
        };
        let message = message.to_owned();
        self.fail(&lost, message, log);
        if again {
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

    /// Fails ready stages that were to go on with what others left in the workspace.
    /// Those that run on a failure, or always, are there to tell and to tidy up: they
    /// get a fresh workspace on another runner.
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

    fn may_run_again(&self, lost: &StageRun) -> bool {
        self.job.state == JobState::Running
            && lost.attempt < limits::MAX_ATTEMPTS
            && self.job.stage(lost).stage_type != StageType::Deploy
            && !self.builds_on_its_runner(lost)
    }

    fn why_not_again(&self, lost: &StageRun) -> &'static str {
        if self.job.state != JobState::Running {
            "its runner was lost while the job was being cancelled"
        } else if self.job.stage(lost).stage_type == StageType::Deploy {
            "its runner was lost; how far it came is not known, so a deployment is not \
             tried again by itself"
        } else if lost.attempt >= limits::MAX_ATTEMPTS {
            "its runner was lost, and so was that of the attempt before"
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

    /// Whether a stage that this one depends on ran to its end in such a workspace.
    fn builds_on(&self, run: &StageRun, in_it: impl Fn(Holder) -> bool) -> bool {
        let depends_on = self.job.pipeline.graph.depends_on(run.stage);
        depends_on.iter().any(|&stage| {
            let earlier = self.job.newest_run(stage);
            earlier.carried_from.is_none() && earlier.holder.is_some_and(&in_it)
        })
    }
}
