use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    domain::{Event, Job, JobFacts, JobId, LostWorkspace, Pipeline, PipelineId, StageState},
    store::{
        BatchId, KeptAnswer, LeaseRow, MemoryStore, ReadyStage, Record, RequestKey, RunnerRow,
        StoreError,
        codec::{
            CodecError, PipelineHead, StoredBinding, StoredDue, StoredDurations, StoredInstance,
        },
    },
};

use super::{
    super::{
        jobs::JobEntry,
        ledger::Owner,
        name_key,
        pipelines::PipelineEntry,
        weights::{answer_weight, events_weight, record_weight},
    },
    damaged, name,
};

/// Builds a store from its rows, a kind after the other in the order of the methods.
pub(in crate::store) struct Restorer {
    store: MemoryStore,
    /// Those that no job runs any more are dropped at the end.
    revisions: BTreeMap<(PipelineId, i64), Arc<Pipeline>>,
    last_revision: Option<Arc<Pipeline>>,
    durations: HashMap<PipelineId, StoredDurations>,
    /// Ready stages that a runner was offered and has not started.
    offered: Option<HashSet<ReadyStage>>,
}

impl Restorer {
    /// An empty store with the same instance and lifetime. It has no subscribers.
    pub(in crate::store) fn new(once: StoredInstance) -> Self {
        let mut store = MemoryStore::opened(once.instance, once.next_token);
        store.due.get_mut().set_last_token(once.last_claim);
        Self {
            store,
            revisions: BTreeMap::new(),
            last_revision: None,
            durations: HashMap::new(),
            offered: None,
        }
    }

    /// A revision of a pipeline, or of one that was deleted. Those of one pipeline follow each
    /// other, the oldest first.
    pub(in crate::store) fn revision(&mut self, mut revision: Pipeline) {
        if let Some(before) = &self.last_revision {
            share(&mut revision, before);
        }
        let revision = Arc::new(revision);
        self.last_revision = Some(Arc::clone(&revision));
        self.revisions
            .insert((revision.id, revision.revision), revision);
    }

    pub(in crate::store) fn durations(&mut self, durations: StoredDurations) {
        self.durations.insert(durations.pipeline_id, durations);
    }

    /// # Errors
    /// If the newest revision is missing.
    pub(in crate::store) fn pipeline(&mut self, head: PipelineHead) -> Result<(), StoreError> {
        let durations = self.durations.remove(&head.id);
        let durations = durations.map(|stored| (stored.number, Arc::new(stored.durations)));
        let own = self.revisions.range((head.id, 0)..=(head.id, i64::MAX));
        let own = own.map(|(_, revision)| revision);
        let entry = PipelineEntry::restored(head, own, durations);
        let entry = entry.ok_or_else(|| missing("the newest revision of a pipeline"))?;
        let ledger = self.store.ledger.get_mut();
        entry
            .kept_revisions()
            .for_each(|revision| ledger.hold(revision));
        let has_older = entry.has_older_revisions();
        let evictable = self.store.evictable.get_mut();
        evictable.note_revisions(&entry.pipeline, has_older);
        self.store.pipeline_index.get_mut().insert(&entry.pipeline);
        self.store.names.insert(name_key(&entry.pipeline), head.id);
        let entry = Arc::new(Mutex::new(entry));
        self.store.pipelines.insert(head.id, entry);
        Ok(())
    }

    pub(in crate::store) fn runner(&mut self, row: RunnerRow) {
        self.store.dispatch.get_mut().restore_runner(row);
    }

    pub(in crate::store) fn lease(&mut self, row: LeaseRow) {
        self.store.dispatch.get_mut().restore_lease(row);
    }

    pub(in crate::store) fn binding(&mut self, job_id: JobId, row: &StoredBinding) {
        self.store.dispatch.get_mut().restore_binding(job_id, row);
    }

    pub(in crate::store) fn lost(&mut self, job_id: JobId, row: LostWorkspace) {
        self.store.dispatch.get_mut().restore_lost(job_id, row);
    }

    /// A revision that a job may run.
    pub(in crate::store) fn known_revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Option<Arc<Pipeline>> {
        self.revisions.get(&(id, revision)).cloned()
    }

    /// A job from its events. Stages that are ready wait again, except those that a runner was
    /// offered and has not started.
    ///
    /// # Errors
    /// If an event is missing.
    pub(in crate::store) fn job(&mut self, events: Vec<Event>) -> Result<(), StoreError> {
        let is_whole = (1..)
            .zip(&events)
            .all(|(number, event)| event.sequence == number);
        let job = if is_whole { Job::replay(&events) } else { None };
        let job = Arc::new(job.ok_or_else(|| missing("an event of a job"))?);

        let store = &mut self.store;
        store.job_index.get_mut().move_job(&job, None);
        if let Some(end_time) = job.end_time {
            store.evictable.get_mut().note_ended(&job, end_time);
        } else if let Some(pipeline) = store.pipelines.get(&job.pipeline.id) {
            pipeline.lock().active_jobs.insert(job.number, job.id);
        }
        let dispatch = store.dispatch.get_mut();
        let offered = self
            .offered
            .get_or_insert_with(|| dispatch.unstarted_stages());
        let waits = job.stage_runs.iter().filter(|run| {
            let (job_id, run_key) = (job.id, run.key());
            let stage = ReadyStage {
                job_id,
                run: run_key,
            };
            run.state == StageState::Queued && !offered.contains(&stage)
        });
        let waits: Vec<_> = waits.cloned().collect();
        dispatch.note_job(&job, &waits);
        let ledger = store.ledger.get_mut();
        ledger.add(Owner::of_job(&job), events_weight(&events));
        ledger.hold(&job.pipeline);
        let entry = JobEntry { job, events };
        store.jobs.insert(entry.job.id, Arc::new(Mutex::new(entry)));
        Ok(())
    }

    pub(in crate::store) fn record(&mut self, collection: String, record: Record) {
        let ledger = self.store.ledger.get_mut();
        ledger.add(Owner::of_record(&record), record_weight(&record));
        let records = self.store.records.get_mut();
        records.put(name(collection), record);
    }

    /// Due work, in the order of its claims.
    pub(in crate::store) fn work(&mut self, row: StoredDue) {
        let weight = self.store.due.get_mut().restore(row, name);
        self.store.ledger.get_mut().add(Owner::of_work(), weight);
    }

    /// An idempotency record, the oldest first.
    pub(in crate::store) fn answer(&mut self, key: RequestKey, kept: KeptAnswer) {
        let weight = answer_weight(&key, &kept);
        let ledger = self.store.ledger.get_mut();
        ledger.add(Owner::of_answer(&key), weight);
        let removed = self.store.answers.get_mut().keep(Arc::new(key), kept);
        self.store.subtract_answers(&removed);
    }

    pub(in crate::store) fn facts(&mut self, facts: JobFacts) {
        self.store.keep_facts(Arc::new(facts));
    }

    /// A batch that was committed, the oldest first.
    pub(in crate::store) fn batch(&mut self, id: BatchId) {
        self.store.recent.get_mut().keep(id);
    }

    pub(in crate::store) fn finish(self) -> MemoryStore {
        self.store
    }
}

/// Has a revision share what it has in common with the one before it, as it did when it was
/// made.
fn share(revision: &mut Pipeline, before: &Pipeline) {
    if revision.id == before.id && revision.spec.stages == before.spec.stages {
        revision.spec.stages = Arc::clone(&before.spec.stages);
        if revision.graph == before.graph {
            revision.graph = Arc::clone(&before.graph);
        }
    }
}

fn missing(what: &'static str) -> StoreError {
    damaged(CodecError::Missing { field: what })
}
