use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    domain::{Job, JobId, PipelineId},
    store::{Batch, LeaseWrite, PipelineWrite, Precondition, Write},
};

use super::super::{
    MemoryStore, answers::Answers, dispatch::LockedDispatch, due::DueQueue, jobs::JobEntry,
    pipelines::PipelineEntry, records::Collections,
};

/// The entries that a batch concerns, in the order in which they are locked.
pub(super) struct Scopes {
    pipelines: Vec<(PipelineId, Arc<Mutex<PipelineEntry>>)>,
    jobs: Vec<JobScope>,
}

struct JobScope {
    id: JobId,
    entry: Arc<Mutex<JobEntry>>,
    /// The entry is not in the store: the batch makes the job.
    is_new: bool,
}

/// The same, locked, with all else that the batch needs.
pub(super) struct Locked<'a> {
    pub(super) pipelines: Vec<(PipelineId, MutexGuard<'a, PipelineEntry>)>,
    pub(super) jobs: Vec<LockedJob<'a>>,
    pub(super) records: Option<RecordsGuard<'a>>,
    pub(super) due: Option<MutexGuard<'a, DueQueue>>,
    pub(super) answers: Option<MutexGuard<'a, Answers>>,
    /// Locked this early only by a batch with lease writes.
    pub(super) dispatch: Option<LockedDispatch<'a>>,
}

pub(super) struct LockedJob<'a> {
    pub(super) id: JobId,
    pub(super) entry: MutexGuard<'a, JobEntry>,
    /// What goes into the store once the job is made.
    pub(super) new: Option<&'a Arc<Mutex<JobEntry>>>,
}

pub(super) enum RecordsGuard<'a> {
    Read(RwLockReadGuard<'a, Collections>),
    Write(RwLockWriteGuard<'a, Collections>),
}

impl Scopes {
    pub(super) fn of(store: &MemoryStore, batch: &Batch) -> Self {
        let mut pipelines: Vec<PipelineId> = Vec::new();
        let mut jobs: Vec<(JobId, Option<&Arc<Job>>)> = Vec::new();
        for write in &batch.writes {
            match write {
                Write::Pipeline(PipelineWrite::Revise(pipeline, _)) => pipelines.push(pipeline.id),
                Write::Pipeline(
                    PipelineWrite::AddJob(id, _)
                    | PipelineWrite::Delete(id, _)
                    | PipelineWrite::ForgetRevisions(id, _),
                ) => pipelines.push(*id),
                Write::Job(write) => {
                    jobs.push((write.job.id, Some(&write.job)));
                    if write.job.state.is_terminal() {
                        // Its list of active jobs becomes shorter.
                        pipelines.push(write.job.pipeline.id);
                    }
                }
                Write::RemoveJob(id)
                | Write::Lease(LeaseWrite::LoseWorkspace { job_id: id, .. }) => {
                    jobs.push((*id, None));
                }
                Write::Pipeline(PipelineWrite::Create(_))
                | Write::Lease(
                    LeaseWrite::Confirm { .. } | LeaseWrite::End { .. } | LeaseWrite::Settle { .. },
                )
                | Write::Record(_)
                | Write::Due(_)
                | Write::Facts(_) => {}
            }
        }
        pipelines.sort_unstable();
        pipelines.dedup();
        // The one that tells the job first, if there is one.
        jobs.sort_unstable_by_key(|(id, job)| (*id, job.is_none()));
        jobs.dedup_by_key(|(id, _)| *id);
        let pipelines = pipelines.into_iter();
        let jobs = jobs.into_iter();
        Self {
            pipelines: pipelines
                .filter_map(|id| Some((id, store.pipeline_entry(id)?)))
                .collect(),
            jobs: jobs
                .filter_map(|(id, job)| JobScope::of(store, id, job))
                .collect(),
        }
    }

    pub(super) fn lock<'a>(&'a self, store: &'a MemoryStore, batch: &Batch) -> Locked<'a> {
        let has = |is_wanted: fn(&Write) -> bool| batch.writes.iter().any(is_wanted);
        let pipelines = self.pipelines.iter();
        let jobs = self.jobs.iter();
        Locked {
            pipelines: pipelines.map(|(id, entry)| (*id, entry.lock())).collect(),
            jobs: jobs.map(JobScope::lock).collect(),
            records: RecordsGuard::of(store, batch),
            due: has(|write| matches!(write, Write::Due(_))).then(|| store.due.lock()),
            answers: batch.answer.is_some().then(|| store.answers.lock()),
            dispatch: has(|write| matches!(write, Write::Lease(_))).then(|| store.dispatch()),
        }
    }
}

impl JobScope {
    fn of(store: &MemoryStore, id: JobId, job: Option<&Arc<Job>>) -> Option<Self> {
        if let Some(entry) = store.job_entry(id) {
            let is_new = false;
            return Some(Self { id, entry, is_new });
        }
        let entry = JobEntry {
            job: Arc::clone(job?),
            events: Vec::new(),
        };
        let (entry, is_new) = (Arc::new(Mutex::new(entry)), true);
        Some(Self { id, entry, is_new })
    }

    fn lock(&self) -> LockedJob<'_> {
        LockedJob {
            id: self.id,
            entry: self.entry.lock(),
            new: self.is_new.then_some(&self.entry),
        }
    }
}

impl<'a> Locked<'a> {
    pub(super) fn pipeline(&self, id: PipelineId) -> Option<&PipelineEntry> {
        let found = self.pipelines.iter().find(|(of, _)| *of == id);
        found.map(|(_, entry)| &**entry)
    }

    pub(super) fn pipeline_mut(&mut self, id: PipelineId) -> Option<&mut PipelineEntry> {
        let found = self.pipelines.iter_mut().find(|(of, _)| *of == id);
        found.map(|(_, entry)| &mut **entry)
    }

    pub(super) fn job(&self, id: JobId) -> Option<&LockedJob<'a>> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// Releases all locks but those of the jobs.
    pub(super) fn into_jobs(self) -> Vec<LockedJob<'a>> {
        self.jobs
    }
}

impl<'a> RecordsGuard<'a> {
    fn of(store: &'a MemoryStore, batch: &Batch) -> Option<Self> {
        let writes = |write: &Write| matches!(write, Write::Record(_));
        let makes = |write: &Write| matches!(write, Write::Pipeline(PipelineWrite::Create(_)));
        let empties = |wanted: &Precondition| matches!(wanted, Precondition::ProjectIsEmpty(_));
        if batch.writes.iter().any(writes) || batch.preconditions.iter().any(empties) {
            Some(Self::Write(store.records.write()))
        } else if !batch.preconditions.is_empty() || batch.writes.iter().any(makes) {
            Some(Self::Read(store.records.read()))
        } else {
            None
        }
    }

    pub(super) fn get(&self) -> &Collections {
        match self {
            Self::Read(records) => records,
            Self::Write(records) => records,
        }
    }

    /// None if it is held for reading: the batch writes no record.
    pub(super) fn get_mut(&mut self) -> Option<&mut Collections> {
        match self {
            Self::Read(_) => None,
            Self::Write(records) => Some(records),
        }
    }
}
