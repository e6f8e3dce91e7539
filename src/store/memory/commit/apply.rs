use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    domain::{self, Event, Job, JobFacts, JobId, JobState, Pipeline, RunnerId, StageRun},
    store::{
        Batch, BatchId, DueWrite, JobWrite, LeaseWrite, PipelineWrite, RecordWrite, RowChange,
        Write, codec::StoredDurations,
    },
};

use super::{
    super::{
        MemoryStore,
        ledger::Owner,
        name_key,
        pipelines::PipelineEntry,
        weights::{answer_weight, events_weight, record_weight},
    },
    scopes::Locked,
};

/// A job with the runs that changed, for the queue.
type Changed = (Arc<Job>, Vec<Arc<StageRun>>);

impl Locked<'_> {
    /// Does all that was checked. Answers with the runners whose leases have ended by it.
    pub(super) fn apply(&mut self, store: &MemoryStore, batch: Batch) -> Vec<RunnerId> {
        let mut changed = Vec::new();
        let mut leases = Vec::new();
        for write in batch.writes {
            match write {
                Write::Pipeline(write) => self.write_pipeline(store, write),
                Write::Job(write) => changed.extend(self.write_job(store, write)),
                Write::Lease(write) => leases.push(write),
                Write::Record(write) => self.write_record(store, write),
                Write::Due(write) => self.write_due(store, write),
                Write::Facts(facts) => store.keep_facts(facts),
                Write::RemoveJob(id) => {
                    // It may be stored although it is not loaded.
                    store.capture.note(|| RowChange::RemoveJob(id));
                    if let Some(job) = self.job(id) {
                        store.forget_job(&job.entry.job, &job.entry.events);
                    }
                }
            }
        }
        if let (Some(answers), Some((key, kept))) = (&mut self.answers, batch.answer) {
            let owner = Owner::of_answer(&key);
            let weight = answer_weight(&key, &kept);
            store.ledger.lock().add(owner, weight);
            let key = Arc::new(key);
            let removed = answers.keep(Arc::clone(&key), kept.clone());
            store.subtract_answers(&removed);
            for (key, _) in removed {
                store.capture.note(|| RowChange::RemoveAnswer(key));
            }
            store.capture.note(|| RowChange::PutAnswer(key, kept));
        }
        // A batch with the id 0 has no name.
        if batch.id != BatchId::default() {
            store.recent.lock().keep(batch.id);
            store.capture.note(|| RowChange::AddBatch(batch.id));
        }
        // Last: a runner that is offered a stage finds its job.
        self.dispatch(store, &changed, leases)
    }

    fn dispatch(
        &mut self,
        store: &MemoryStore,
        changed: &[Changed],
        leases: Vec<LeaseWrite>,
    ) -> Vec<RunnerId> {
        if changed.is_empty() && leases.is_empty() {
            return Vec::new();
        }
        let locked = self.dispatch.take();
        let mut dispatch = locked.unwrap_or_else(|| store.dispatch());
        for (job, runs) in changed {
            dispatch.note_job(job, runs);
        }
        let is_active = |id: JobId| {
            let job = self.job(id);
            job.is_some_and(|job| !job.entry.job.state.is_terminal())
        };
        let ended = leases.into_iter();
        ended
            .filter_map(|write| dispatch.write(write, is_active))
            .collect()
    }

    fn write_pipeline(&mut self, store: &MemoryStore, write: PipelineWrite) {
        match write {
            PipelineWrite::Create(pipeline) => store.add_pipeline(pipeline),
            PipelineWrite::Revise(pipeline, _) => {
                if let Some(entry) = self.pipeline_mut(pipeline.id) {
                    store.revise_pipeline(entry, pipeline);
                }
            }
            PipelineWrite::AddJob(id, _) => {
                if let Some(entry) = self.pipeline_mut(id) {
                    entry.version += 1;
                    entry.jobs_created += 1;
                    store.capture.note(|| RowChange::PutHead(entry.head()));
                }
            }
            PipelineWrite::Delete(id, _) => {
                if let Some(entry) = self.pipeline_mut(id) {
                    entry.deleted = true;
                    store.remove_pipeline(entry);
                    store.capture.note(|| RowChange::RemovePipeline(id));
                }
            }
            PipelineWrite::ForgetRevisions(id, before) => {
                if let Some(entry) = self.pipeline_mut(id) {
                    let forgotten = entry.forget_revisions(before);
                    store.note_forgotten(entry, &forgotten);
                    store.capture.note(|| RowChange::PutHead(entry.head()));
                }
            }
        }
    }

    fn write_record(&mut self, store: &MemoryStore, write: RecordWrite) {
        let records = self.records.as_mut().and_then(|records| records.get_mut());
        let Some(records) = records else { return };
        store.capture.note(|| match &write {
            RecordWrite::Put(collection, record) => {
                RowChange::PutRecord(collection, record.clone())
            }
            RecordWrite::Delete(collection, key, _) => {
                RowChange::RemoveRecord(collection, key.clone())
            }
        });
        let mut ledger = store.ledger.lock();
        if let RecordWrite::Put(_, record) = &write {
            ledger.add(Owner::of_record(record), record_weight(record));
        }
        if let Some(old) = records.write(write) {
            ledger.subtract(Owner::of_record(&old), record_weight(&old));
        }
    }

    fn write_due(&mut self, store: &MemoryStore, write: DueWrite) {
        let Some(due) = &mut self.due else { return };
        let key = write.key().clone();
        let (added, removed) = due.write(write);
        store.capture.note(|| match due.row(&key) {
            Some(row) => RowChange::PutWork(row),
            None => RowChange::RemoveWork(key),
        });
        let mut ledger = store.ledger.lock();
        ledger.add(Owner::of_work(), added);
        ledger.subtract(Owner::of_work(), removed);
    }

    /// Answers with what the queue has to know, if anything.
    fn write_job(&mut self, store: &MemoryStore, write: JobWrite) -> Option<Changed> {
        let JobWrite { job, mut events } = write;
        let runs: Vec<Arc<StageRun>> = events.iter().filter_map(stage_run).collect();
        let position = self.jobs.iter().position(|locked| locked.id == job.id)?;
        let capture = &store.capture;
        capture.note(|| RowChange::AddEvents(Arc::clone(&job), events.clone()));
        let locked = &mut self.jobs[position];
        let mut ledger = store.ledger.lock();
        ledger.add(Owner::of_job(&job), events_weight(&events));
        if locked.new.is_some() {
            ledger.hold(&job.pipeline);
        }
        drop(ledger);
        let before = match locked.new {
            Some(new) => {
                // There may be very many that wait, to which nothing comes for long.
                events.shrink_to_fit();
                locked.entry.events = events;
                store.jobs.insert(job.id, Arc::clone(new));
                None
            }
            None => {
                locked.entry.events.append(&mut events);
                let before = std::mem::replace(&mut locked.entry.job, Arc::clone(&job));
                Some(before.state)
            }
        };
        if before != Some(job.state) {
            store.job_index.write().move_job(&job, before);
            self.note_state(store, &job, before.is_none());
        }
        (!runs.is_empty() || job.state.is_terminal()).then_some((job, runs))
    }

    /// Keeps the list of ended jobs, and what the pipeline knows of its jobs.
    fn note_state(&mut self, store: &MemoryStore, job: &Job, is_new: bool) {
        if let Some(end_time) = job.end_time {
            store.evictable.write().note_ended(job, end_time);
        }
        let Some(pipeline) = self.pipeline_mut(job.pipeline.id) else {
            return;
        };
        if job.state.is_terminal() {
            pipeline.active_jobs.remove(&job.number);
        } else if is_new {
            pipeline.active_jobs.insert(job.number, job.id);
        }
        if job.state == JobState::Succeeded {
            pipeline.note_success(job);
            if let Some((number, durations)) = pipeline.durations() {
                store.capture.note(|| {
                    RowChange::PutDurations(StoredDurations {
                        pipeline_id: job.pipeline.id,
                        number,
                        durations: durations.clone(),
                    })
                });
            }
        }
    }
}

impl MemoryStore {
    fn add_pipeline(&self, pipeline: Arc<Pipeline>) {
        self.pipeline_index.write().insert(&pipeline);
        self.ledger.lock().hold(&pipeline);
        let id = pipeline.id;
        let entry = PipelineEntry::new(Arc::clone(&pipeline));
        self.capture.note(|| RowChange::AddRevision(pipeline));
        self.capture.note(|| RowChange::PutHead(entry.head()));
        self.pipelines.insert(id, Arc::new(Mutex::new(entry)));
    }

    fn revise_pipeline(&self, entry: &mut PipelineEntry, pipeline: Arc<Pipeline>) {
        self.ledger.lock().hold(&pipeline);
        let (old, forgotten) = entry.revise(Arc::clone(&pipeline));
        self.note_forgotten(entry, &forgotten);
        if name_key(&old) != name_key(&pipeline) {
            self.names.remove(&name_key(&old));
        }
        self.pipeline_index.write().revise(&old, &pipeline);
        self.capture.note(|| RowChange::AddRevision(pipeline));
        self.capture.note(|| RowChange::PutHead(entry.head()));
    }

    /// After a change of the older revisions that are kept.
    fn note_forgotten(&self, entry: &PipelineEntry, forgotten: &[Arc<Pipeline>]) {
        let mut ledger = self.ledger.lock();
        forgotten
            .iter()
            .for_each(|revision| ledger.release(revision));
        drop(ledger);
        let has_older = entry.has_older_revisions();
        let mut evictable = self.evictable.write();
        evictable.note_revisions(&entry.pipeline, has_older);
    }

    pub(in super::super) fn keep_facts(&self, facts: Arc<JobFacts>) {
        // Added first: as soon as they are kept, another commit may remove them.
        let owner = Owner::of_facts(&facts);
        self.ledger.lock().add(owner, facts.weight());
        self.capture
            .note(|| RowChange::AddFacts(Arc::clone(&facts)));
        let removed = self.facts.write().keep(Arc::clone(&facts));
        for facts in removed {
            let owner = Owner::of_facts(&facts);
            self.ledger.lock().subtract(owner, facts.weight());
        }
    }

    fn remove_pipeline(&self, entry: &PipelineEntry) {
        let pipeline = &*entry.pipeline;
        let mut ledger = self.ledger.lock();
        entry
            .kept_revisions()
            .for_each(|revision| ledger.release(revision));
        drop(ledger);
        self.evictable.write().note_revisions(pipeline, false);
        self.pipeline_index.write().remove(pipeline);
        self.names.remove(&name_key(pipeline));
        self.pipelines.remove(&pipeline.id);
    }

    pub(in super::super) fn forget_job(&self, job: &Job, events: &[Event]) {
        if self.jobs.remove(&job.id).is_none() {
            // Another batch that waited for the same lock has removed it.
            return;
        }
        let mut ledger = self.ledger.lock();
        ledger.subtract(Owner::of_job(job), events_weight(events));
        ledger.release(&job.pipeline);
        drop(ledger);
        self.job_index.write().remove(job);
        if let Some(end_time) = job.end_time {
            self.evictable.write().forget_job(job, end_time);
        }
    }
}

/// The run that an event is about.
fn stage_run(event: &Event) -> Option<Arc<StageRun>> {
    match &event.change {
        domain::Change::StageRunChanged(run) => Some(Arc::clone(run)),
        _ => None,
    }
}
