//! From a plan to its effects: commit, then wake those who wait for it.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    domain::{Change, Command, Demand, Event, Job, JobId, Refusal, StageState, decide},
    store::{Answer, Batch, CommitError, JobWrite, KeptAnswer, RequestKey},
};

use super::{
    Call, Engine, Error, access,
    stats::{Count, counts},
};

/// What a call wants to change, and what it answers if that succeeds.
pub(super) struct Plan {
    pub(super) batch: Batch,
    pub(super) answer: Answer,
}

impl Engine {
    /// Does a call once: a repetition of one that was answered gets that answer. The attempt
    /// is made where it is awaited: a future that is handed over has its place twice.
    pub(super) async fn once<Attempt: Future<Output = Result<Answer, Error>>>(
        &self,
        call: &Call,
        method: &'static str,
        attempt: impl FnOnce() -> Attempt,
    ) -> Result<Answer, Error> {
        if let Some(answer) = self.answered(call, method).await? {
            return Ok(answer);
        }
        match attempt().await {
            Ok(answer) => Ok(answer),
            // The first call may have come in between, and be the reason for this refusal.
            Err(error) => self.answered(call, method).await?.ok_or(error),
        }
    }

    async fn answered(&self, call: &Call, method: &'static str) -> Result<Option<Answer>, Error> {
        let Some(key) = request_key(call, method) else {
            return Ok(None);
        };
        let kept = self.store.answer(&key).await?;
        kept.map(|kept| repeated(call, kept)).transpose()
    }

    /// Commits a plan and answers; none if something changed in between, and the
    /// plan has to be made again.
    pub(super) async fn try_commit(
        &self,
        call: &Call,
        method: &'static str,
        plan: Plan,
    ) -> Result<Option<Answer>, Error> {
        let Plan { mut batch, answer } = plan;
        batch.answer = request_key(call, method)
            .zip(call.request)
            .map(|(key, request)| {
                let kept = KeptAnswer {
                    fingerprint: request.fingerprint,
                    answer: answer.clone(),
                    time: self.now(),
                };
                (key, kept)
            });
        match self.commit(batch).await {
            Ok(()) => Ok(Some(answer)),
            Err(CommitError::Conflict) => Ok(None),
            Err(CommitError::Answered(kept)) => repeated(call, kept).map(Some),
            Err(CommitError::NameTaken { project, name }) => {
                Err(Error::NameTaken { project, name })
            }
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Asks something of a job, again until nothing changes in between.
    pub(super) async fn command(
        &self,
        id: JobId,
        command: Command,
    ) -> Result<Result<Arc<Job>, Refusal>, Error> {
        loop {
            let job = self.load_job(id).await?;
            let decision = match decide(&job, command.clone(), self.now()) {
                Ok(decision) => decision,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if decision.events.is_empty() {
                return Ok(Ok(job));
            }
            let job = Arc::new(decision.job);
            let write = JobWrite {
                job: Arc::clone(&job),
                events: decision.events,
            };
            let batch = Batch {
                jobs: vec![write],
                ..Batch::default()
            };
            match self.commit(batch).await {
                Ok(()) => return Ok(Ok(job)),
                Err(CommitError::Store(error)) => return Err(error.into()),
                Err(
                    CommitError::Conflict
                    | CommitError::NameTaken { .. }
                    | CommitError::Answered(_),
                ) => {}
            }
        }
    }

    pub(super) async fn load_job(&self, id: JobId) -> Result<Arc<Job>, Error> {
        let job = self.store.job(id).await?;
        job.ok_or_else(|| Error::JobNotFound(id.to_string()))
    }

    /// Everything after the commit happens without an await: a caller that goes
    /// away cannot keep a committed change from being told.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let effects: Vec<Effect> = batch.jobs.iter().map(Effect::of).collect();
        let counts: Vec<Count> = batch.jobs.iter().flat_map(counts).collect();
        self.store.commit(batch).await?;
        counts.iter().for_each(Count::add);
        effects.iter().for_each(|effect| self.tell(effect));
        Ok(())
    }

    /// By a task of its own: the call that made stages ready has nothing to do with it.
    fn check_for_stranded(&self, id: JobId) {
        let Some(engine) = self.me.upgrade() else {
            return;
        };
        tokio::spawn(async move {
            if let Err(error) = engine.fail_what_is_stranded(id).await {
                tracing::error!(%error, job.id = %id, "stages without a workspace still wait");
            }
        });
    }

    fn tell(&self, effect: &Effect) {
        let job = &effect.job;
        let is_over = job.state.is_terminal();
        self.signals.tell(job.id, job.last_sequence, is_over);
        if effect.is_new {
            tracing::info!(job.id = %job.id, pipeline = job.pipeline.spec.name, number = job.number,
                "job created");
        }
        if effect.waits_for_its_turn || job.state.is_terminal() {
            // Whoever comes second of two that race sees both of them: the job that
            // ended is out of the list by now, the new one is in it.
            let _ = self.turns.send(job.pipeline.id);
        }
        if job.state.is_terminal() {
            tracing::info!(job.id = %job.id, job.state = ?job.state, "job ended");
            self.retention.notify_one();
            self.leases.forget(job.id);
        }
        if !effect.ready.is_empty() && !self.leases.lost_workspaces(job.id).is_empty() {
            self.check_for_stranded(job.id);
        }
        let wanted = effect.ready.iter();
        let demands = wanted.map(|stage| Demand::of(&job.pipeline.spec.stages[*stage]));
        // Many stages ask for the same, most often for nothing.
        let demands: BTreeSet<Demand> = demands.collect();
        demands.iter().for_each(|demand| self.waiters.work(demand));
        if job.state.is_terminal() {
            self.waiters.over(job.id);
        }
        if effect.is_new || job.state.is_terminal() {
            self.jobs_changed.notify_waiters();
        }
    }
}

/// What a committed change of a job means to others.
struct Effect {
    job: Arc<Job>,
    is_new: bool,
    waits_for_its_turn: bool,
    /// Positions of the stages that became ready.
    ready: Vec<usize>,
}

impl Effect {
    fn of(write: &JobWrite) -> Self {
        let made_ready = |event: &Event| match &event.change {
            Change::StageRunChanged(run) if run.state == StageState::Queued => Some(run.stage),
            _ => None,
        };
        let is_new = write
            .events
            .first()
            .is_some_and(|event| event.sequence == 1);
        let ready: Vec<usize> = write.events.iter().filter_map(made_ready).collect();
        Self {
            job: Arc::clone(&write.job),
            is_new,
            waits_for_its_turn: is_new && ready.is_empty(),
            ready,
        }
    }
}

fn request_key(call: &Call, method: &'static str) -> Option<RequestKey> {
    call.request.map(|request| RequestKey {
        principal: call.principal().to_owned(),
        method,
        request_id: request.id,
    })
}

fn repeated(call: &Call, kept: KeptAnswer) -> Result<Answer, Error> {
    match call.request {
        Some(request) if request.fingerprint == kept.fingerprint => {
            access::check_answer(call, &kept.answer)?;
            Ok(kept.answer)
        }
        _ => Err(Error::RequestIdReused),
    }
}
