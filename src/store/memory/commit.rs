//! A commit: lock the scopes, check everything, then change everything.

use std::sync::{Arc, Weak};

use dashmap::Entry;
use parking_lot::{Mutex, MutexGuard};

use crate::domain::{
    Change, Event, Job, JobId, Pipeline, PipelineId, StageRun, StageState, limits,
};

use super::{
    super::{Batch, CommitError, JobWrite, PipelineWrite},
    JobEntry, MemoryStore, PipelineEntry,
};

impl MemoryStore {
    pub(super) fn commit_batch(&self, batch: Batch) -> Result<(), CommitError> {
        let Batch {
            pipeline,
            mut jobs,
            answer,
        } = batch;
        // One order of locks for all: two batches never wait for each other.
        jobs.sort_by_key(|write| write.job.id);
        let entry = pipeline_scope(pipeline.as_ref(), &jobs).and_then(|id| self.pipeline_entry(id));
        let mut scope = entry.as_deref().map(Mutex::lock);
        let entries: Vec<_> = jobs
            .iter()
            .map(|write| self.job_entry(write.job.id))
            .collect();
        let mut locked: Vec<_> = entries
            .iter()
            .map(|e| e.as_deref().map(Mutex::lock))
            .collect();
        let mut answers = answer.is_some().then(|| self.answers.lock());

        check_pipeline(pipeline.as_ref(), scope.as_deref())?;
        for (write, entry) in jobs.iter().zip(&locked) {
            check_job(write, entry.as_deref())?;
        }
        if let (Some(answers), Some((key, _))) = (&answers, &answer)
            && let Some(kept) = answers.get(key)
        {
            return Err(CommitError::Answered(kept.clone()));
        }
        // The last thing that can fail, because taking a name changes something.
        self.take_name(pipeline.as_ref())?;

        if let Some(write) = pipeline {
            self.write_pipeline(write, scope.as_mut());
        }
        for (write, entry) in jobs.into_iter().zip(&mut locked) {
            self.write_job(write, entry.as_mut(), scope.as_mut());
        }
        if let (Some(answers), Some((key, kept))) = (&mut answers, answer) {
            answers.keep(key, kept);
        }
        Ok(())
    }

    /// Claims the name of a new or renamed pipeline, or refuses it.
    fn take_name(&self, write: Option<&PipelineWrite>) -> Result<(), CommitError> {
        let Some(PipelineWrite::Create(pipeline) | PipelineWrite::Revise(pipeline, _)) = write
        else {
            return Ok(());
        };
        match self.names.entry(name_key(pipeline)) {
            Entry::Occupied(owner) if *owner.get() != pipeline.id => {
                let (project, name) = name_key(pipeline);
                Err(CommitError::NameTaken { project, name })
            }
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(free) => {
                free.insert(pipeline.id);
                Ok(())
            }
        }
    }

    fn write_pipeline(
        &self,
        write: PipelineWrite,
        scope: Option<&mut MutexGuard<'_, PipelineEntry>>,
    ) {
        match (write, scope) {
            (PipelineWrite::Create(pipeline), _) => {
                self.pipeline_index.write().insert(&pipeline);
                let id = pipeline.id;
                self.pipelines
                    .insert(id, Arc::new(Mutex::new(PipelineEntry::new(pipeline))));
            }
            (PipelineWrite::Revise(pipeline, _), Some(scope)) => self.revise(pipeline, scope),
            (PipelineWrite::AddJob(..), Some(scope)) => {
                scope.version += 1;
                scope.jobs_created += 1;
            }
            (PipelineWrite::Delete(id, _), Some(scope)) => {
                scope.deleted = true;
                self.pipeline_index.write().remove(&scope.pipeline);
                self.names.remove(&name_key(&scope.pipeline));
                self.pipelines.remove(&id);
            }
            (_, None) => unreachable!("check_pipeline found the pipeline"),
        }
    }

    fn revise(&self, pipeline: Arc<Pipeline>, scope: &mut PipelineEntry) {
        let old = std::mem::replace(&mut scope.pipeline, Arc::clone(&pipeline));
        scope.version += 1;
        if name_key(&old) != name_key(&pipeline) {
            self.names.remove(&name_key(&old));
        }
        self.pipeline_index.write().revise(&old, &pipeline);
        scope.revisions.insert(old.revision, old);
        scope.let_go_of_old_revisions();
    }

    fn write_job(
        &self,
        write: JobWrite,
        entry: Option<&mut MutexGuard<'_, JobEntry>>,
        scope: Option<&mut MutexGuard<'_, PipelineEntry>>,
    ) {
        let JobWrite { job, mut events } = write;
        let before = entry.as_ref().map(|entry| entry.job.state);
        if before != Some(job.state) {
            self.job_index.write().move_job(&job, before);
            self.note_active(&job, before.is_none(), scope);
        }
        let of_stages: Vec<Arc<StageRun>> = events.iter().filter_map(stage_run).collect();
        match entry {
            Some(entry) => {
                entry.events.append(&mut events);
                entry.job = Arc::clone(&job);
            }
            None => {
                // There may be very many that wait, to which nothing comes for long.
                events.shrink_to_fit();
                let job = Arc::clone(&job);
                let entry = JobEntry { job, events };
                self.jobs.insert(entry.job.id, Arc::new(Mutex::new(entry)));
            }
        }
        // Last: whoever claims a stage finds its job.
        self.queue_or_unqueue(&job, &of_stages);
    }

    /// Keeps the pipeline's list of active jobs, and the list of ended ones.
    fn note_active(
        &self,
        job: &Job,
        is_new: bool,
        scope: Option<&mut MutexGuard<'_, PipelineEntry>>,
    ) {
        if let Some(end_time) = job.end_time {
            self.ended.write().insert((end_time, job.id));
        }
        let Some(scope) = scope else {
            return;
        };
        if job.state.is_terminal() {
            scope.active_jobs.remove(&job.number);
        } else if is_new {
            scope.active_jobs.insert(job.number, job.id);
        }
    }

    fn queue_or_unqueue(&self, job: &Job, changed: &[Arc<StageRun>]) {
        let mut ready = self.ready.lock();
        for run in changed {
            match run.state {
                StageState::Queued => ready.insert(job, run),
                _ => ready.remove(job, run),
            }
        }
        if job.state.is_terminal() {
            ready.forget(job.id);
        }
    }

    pub(super) fn forget_job(&self, id: JobId) {
        let Some((_, entry)) = self.jobs.remove(&id) else {
            return;
        };
        let job = Arc::clone(&entry.lock().job);
        self.job_index.write().remove(&job);
        if let Some(end_time) = job.end_time {
            self.ended.write().remove(&(end_time, id));
        }
    }
}

impl PipelineEntry {
    /// Beyond the newest revisions, one is kept only as long as a job that runs it.
    fn let_go_of_old_revisions(&mut self) {
        const SWEEP_AT: usize = 64;
        let limit = i64::try_from(limits::MAX_REVISIONS).unwrap_or(i64::MAX);
        let oldest = self.pipeline.revision - limit;
        let Some(old) = self.revisions.remove(&oldest) else {
            return;
        };
        if self.with_their_jobs.len() >= self.sweep_at {
            let is_there = |_: &i64, pipeline: &mut Weak<Pipeline>| pipeline.strong_count() > 0;
            self.with_their_jobs.retain(is_there);
            // As many again before the next look: an update pays for two, however many stay.
            self.sweep_at = SWEEP_AT.max(2 * self.with_their_jobs.len());
        }
        self.with_their_jobs.insert(oldest, Arc::downgrade(&old));
    }
}

/// The run that an event tells of.
fn stage_run(event: &Event) -> Option<Arc<StageRun>> {
    match &event.change {
        Change::StageRunChanged(run) => Some(Arc::clone(run)),
        _ => None,
    }
}

/// The pipeline that a batch has to lock: the one that it writes, or the one whose
/// list of active jobs becomes shorter.
fn pipeline_scope(write: Option<&PipelineWrite>, jobs: &[JobWrite]) -> Option<PipelineId> {
    let ending = || jobs.iter().find(|write| write.job.state.is_terminal());
    match write {
        Some(PipelineWrite::Create(_)) => None,
        Some(PipelineWrite::Revise(pipeline, _)) => Some(pipeline.id),
        Some(PipelineWrite::AddJob(id, _) | PipelineWrite::Delete(id, _)) => Some(*id),
        None => ending().map(|write| write.job.pipeline.id),
    }
}

fn check_pipeline(
    write: Option<&PipelineWrite>,
    scope: Option<&PipelineEntry>,
) -> Result<(), CommitError> {
    let expected = match write {
        None | Some(PipelineWrite::Create(_)) => return Ok(()),
        Some(
            PipelineWrite::Revise(_, version)
            | PipelineWrite::AddJob(_, version)
            | PipelineWrite::Delete(_, version),
        ) => *version,
    };
    match scope {
        Some(entry) if !entry.deleted && entry.version == expected => Ok(()),
        _ => Err(CommitError::Conflict),
    }
}

fn check_job(write: &JobWrite, entry: Option<&JobEntry>) -> Result<(), CommitError> {
    let expected = write.events.first().map_or(0, |event| event.sequence - 1);
    let found = entry.map_or(0, |entry| entry.job.last_sequence);
    match found == expected {
        true => Ok(()),
        false => Err(CommitError::Conflict),
    }
}

fn name_key(pipeline: &Pipeline) -> (String, String) {
    (pipeline.project.clone(), pipeline.spec.name.clone())
}
