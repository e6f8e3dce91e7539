use dashmap::Entry;

use crate::store::{Batch, CommitError, JobWrite, PipelineWrite, Precondition, Write};

use super::{
    super::{MemoryStore, name_key},
    scopes::Locked,
};

impl Locked<'_> {
    /// Whether all that a batch was decided on is still so.
    pub(super) fn check(&self, store: &MemoryStore, batch: &Batch) -> Result<(), CommitError> {
        for write in &batch.writes {
            self.check_write(store, write)?;
        }
        for wanted in &batch.preconditions {
            if !self.holds(store, wanted) {
                return Err(CommitError::Conflict);
            }
        }
        if let (Some(answers), Some((key, new))) = (&self.answers, &batch.answer)
            && let Some(kept) = answers.get(key, new.time)
        {
            return Err(CommitError::Answered(kept.clone()));
        }
        self.check_limits(store, batch)
    }

    fn check_write(&self, store: &MemoryStore, write: &Write) -> Result<(), CommitError> {
        let is_current = match write {
            Write::Pipeline(write) => self.is_current_pipeline(store, write),
            Write::Job(write) => self.is_current_job(write),
            Write::RemoveJob(id) => {
                let job = self.job(*id);
                job.is_none_or(|job| job.entry.job.state.is_terminal())
            }
            Write::Lease(write) => {
                return self.dispatch.as_ref().map_or(Ok(()), |d| d.check(write));
            }
            Write::Record(write) => {
                let records = self.records.as_ref();
                return records.map_or(Ok(()), |records| records.get().check(write));
            }
            Write::Due(write) => return self.due.as_ref().map_or(Ok(()), |due| due.check(write)),
            Write::Facts(_) => true,
        };
        if is_current {
            Ok(())
        } else {
            Err(CommitError::Conflict)
        }
    }

    fn is_current_pipeline(&self, store: &MemoryStore, write: &PipelineWrite) -> bool {
        let (id, expected) = match write {
            PipelineWrite::Create(pipeline) => return !store.pipelines.contains_key(&pipeline.id),
            PipelineWrite::Revise(pipeline, version) => (pipeline.id, *version),
            PipelineWrite::AddJob(id, version) | PipelineWrite::Delete(id, version) => {
                (*id, *version)
            }
            PipelineWrite::ForgetRevisions(id, _) => {
                return self.pipeline(*id).is_some_and(|entry| !entry.deleted);
            }
        };
        let entry = self.pipeline(id);
        entry.is_some_and(|entry| !entry.deleted && entry.version == expected)
    }

    fn is_current_job(&self, write: &JobWrite) -> bool {
        let expected = write.events.first().map_or(0, |event| event.sequence - 1);
        let known = self.job(write.job.id).filter(|job| job.new.is_none());
        known.map_or(0, |job| job.entry.job.last_sequence) == expected
    }

    fn holds(&self, store: &MemoryStore, wanted: &Precondition) -> bool {
        match wanted {
            Precondition::RecordVersion {
                collection,
                key,
                version,
            } => {
                let records = self.records.as_ref();
                records.is_some_and(|records| records.get().version(collection, key) == *version)
            }
            // Pipelines first: a job that is created while its pipeline still exists is found
            // by the check of the jobs, even if the pipeline is deleted in between.
            Precondition::ProjectIsEmpty(project) => {
                !store.pipeline_index.read().has_project(project)
                    && !store.job_index.read().has_project(project)
            }
        }
    }
}

impl MemoryStore {
    /// Claims the names of new and renamed pipelines, or refuses all of them.
    pub(super) fn take_names(&self, writes: &[Write]) -> Result<(), CommitError> {
        let mut taken = Vec::new();
        for write in writes {
            let Write::Pipeline(
                PipelineWrite::Create(pipeline) | PipelineWrite::Revise(pipeline, _),
            ) = write
            else {
                continue;
            };
            let owner = match self.names.entry(name_key(pipeline)) {
                Entry::Occupied(owner) => *owner.get(),
                Entry::Vacant(free) => {
                    taken.push(pipeline);
                    *free.insert(pipeline.id)
                }
            };
            if owner != pipeline.id {
                for pipeline in taken {
                    self.names.remove(&name_key(pipeline));
                }
                let (project, name) = name_key(pipeline);
                return Err(CommitError::NameTaken {
                    project,
                    name,
                    owner,
                });
            }
        }
        Ok(())
    }
}
