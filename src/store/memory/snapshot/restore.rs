use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    domain::{Event, Job, JobFacts, Pipeline, PipelineId, StageState},
    store::{
        KeptAnswer, LeaseRow, MemoryStore, ReadyStage, Record, RunnerRow, StoreError,
        codec::{
            self, PipelineHead, Stored, StoredDurations, StoredInstance, StoredRecord, Unsealed,
            decode_event, decode_pipeline,
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
    Row, Snapshot, damaged, name,
};

type Revisions = HashMap<(PipelineId, i64), Arc<Pipeline>>;

impl MemoryStore {
    /// The store that a snapshot was taken of, with the same instance and lifetime. It has no
    /// subscribers.
    ///
    /// # Errors
    /// If a row cannot be read.
    pub fn restore(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let once: StoredInstance = decode(&snapshot.instance)?;
        let mut store = Self::opened(once.instance, once.next_token);
        let mut revisions = Revisions::new();
        let mut before: Option<Arc<Pipeline>> = None;
        for row in &snapshot.revisions {
            let mut revision = decode_pipeline(row, &Unsealed).map_err(damaged)?;
            if let Some(before) = &before {
                share(&mut revision, before);
            }
            let revision = Arc::new(revision);
            before = Some(Arc::clone(&revision));
            revisions.insert((revision.id, revision.revision), revision);
        }
        store.restore_pipelines(snapshot, &revisions)?;
        store.restore_dispatch(snapshot)?;
        let offered = store.dispatch.get_mut().unstarted_stages();
        for events in &snapshot.jobs {
            store.restore_job(events, &revisions, &offered)?;
        }
        // Revisions that no job runs any more are dropped here.
        drop(revisions);
        for row in &snapshot.records {
            let (collection, record) = record(decode(row)?);
            let ledger = store.ledger.get_mut();
            ledger.add(Owner::of_record(&record), record_weight(&record));
            store.records.get_mut().put(collection, record);
        }
        let due = store.due.get_mut();
        due.set_last_token(once.last_claim);
        for row in &snapshot.due {
            let weight = due.restore(decode(row)?, name);
            store.ledger.get_mut().add(Owner::of_work(), weight);
        }
        for (key, row) in &snapshot.answers {
            let kept: KeptAnswer = decode(row)?;
            let weight = answer_weight(key, &kept);
            store.ledger.get_mut().add(Owner::of_answer(key), weight);
            let removed = store.answers.get_mut().keep(key.clone(), kept);
            store.subtract_answers(&removed);
        }
        for row in &snapshot.facts {
            let facts: JobFacts = decode(row)?;
            store.keep_facts(Arc::new(facts));
        }
        for id in &snapshot.batches {
            store.recent.get_mut().keep(*id);
        }
        Ok(store)
    }

    fn restore_pipelines(
        &mut self,
        snapshot: &Snapshot,
        revisions: &Revisions,
    ) -> Result<(), StoreError> {
        let mut durations = HashMap::new();
        for row in &snapshot.durations {
            let stored: StoredDurations = decode(row)?;
            durations.insert(
                stored.pipeline_id,
                (stored.number, Arc::new(stored.durations)),
            );
        }
        for row in &snapshot.heads {
            let head: PipelineHead = decode(row)?;
            let own = revisions.values().filter(|revision| revision.id == head.id);
            let entry = PipelineEntry::restored(head, own, durations.remove(&head.id));
            let entry = entry.ok_or_else(|| missing("the newest revision of a pipeline"))?;
            let ledger = self.ledger.get_mut();
            entry
                .kept_revisions()
                .for_each(|revision| ledger.hold(revision));
            let has_older = entry.has_older_revisions();
            let evictable = self.evictable.get_mut();
            evictable.note_revisions(&entry.pipeline, has_older);
            self.pipeline_index.get_mut().insert(&entry.pipeline);
            self.names.insert(name_key(&entry.pipeline), head.id);
            self.pipelines.insert(head.id, Arc::new(Mutex::new(entry)));
        }
        Ok(())
    }

    fn restore_dispatch(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let dispatch = self.dispatch.get_mut();
        for row in &snapshot.runners {
            dispatch.restore_runner(decode::<RunnerRow>(row)?);
        }
        for row in &snapshot.leases {
            dispatch.restore_lease(decode::<LeaseRow>(row)?);
        }
        for (job_id, rows) in &snapshot.bindings {
            for row in rows {
                dispatch.restore_binding(*job_id, &decode(row)?);
            }
        }
        for (job_id, rows) in &snapshot.lost {
            for row in rows {
                dispatch.restore_lost(*job_id, decode(row)?);
            }
        }
        Ok(())
    }

    /// A job from its events. Stages that are ready wait again, but for those that a runner
    /// was offered and has not started.
    fn restore_job(
        &mut self,
        events: &[Row],
        revisions: &Revisions,
        offered: &HashSet<ReadyStage>,
    ) -> Result<(), StoreError> {
        let revision = |id, revision| revisions.get(&(id, revision)).cloned();
        let events = events.iter();
        let events = events.map(|row| decode_event(row, &Unsealed, &revision).map_err(damaged));
        let events = events.collect::<Result<Vec<Event>, _>>()?;
        let is_whole = (1..)
            .zip(&events)
            .all(|(number, event)| event.sequence == number);
        let job = if is_whole { Job::replay(&events) } else { None };
        let job = Arc::new(job.ok_or_else(|| missing("an event of a job"))?);

        self.job_index.get_mut().move_job(&job, None);
        if let Some(end_time) = job.end_time {
            self.evictable.get_mut().note_ended(&job, end_time);
        } else if let Some(pipeline) = self.pipelines.get(&job.pipeline.id) {
            pipeline.lock().active_jobs.insert(job.number, job.id);
        }
        let waits = job.stage_runs.iter().filter(|run| {
            let (job_id, run_key) = (job.id, run.key());
            let stage = ReadyStage {
                job_id,
                run: run_key,
            };
            run.state == StageState::Queued && !offered.contains(&stage)
        });
        let waits: Vec<_> = waits.cloned().collect();
        self.dispatch.get_mut().note_job(&job, &waits);
        let ledger = self.ledger.get_mut();
        ledger.add(Owner::of_job(&job), events_weight(&events));
        ledger.hold(&job.pipeline);
        let entry = JobEntry { job, events };
        self.jobs.insert(entry.job.id, Arc::new(Mutex::new(entry)));
        Ok(())
    }
}

fn decode<T: Stored>(row: &[u8]) -> Result<T, StoreError> {
    codec::decode(row).map_err(damaged)
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
    damaged(codec::CodecError::Missing { field: what })
}

fn record(stored: StoredRecord) -> (&'static str, Record) {
    let StoredRecord {
        collection,
        key,
        project,
        principal,
        version,
        expires,
        body,
        indexes,
    } = stored;
    let index = |(index, value)| (name(index), value);
    let record = Record {
        key,
        project,
        principal,
        version: u64::try_from(version).unwrap_or(0),
        body,
        expires,
        indexes: indexes.into_iter().map(index).collect(),
    };
    (name(collection), record)
}
