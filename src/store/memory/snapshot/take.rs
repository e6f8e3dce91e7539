use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{Pipeline, PipelineId},
    store::{
        MemoryStore, Record,
        codec::{
            StoredDurations, StoredInstance, StoredRecord, Unsealed, encode, encode_event,
            encode_pipeline,
        },
    },
};

use super::{Row, Snapshot};

/// Revisions by pipeline and number.
type Revisions = BTreeMap<(PipelineId, i64), Arc<Pipeline>>;

impl MemoryStore {
    /// All that is in the store, as a durable one would find it after a crash.
    pub fn snapshot(&self) -> Snapshot {
        let mut revisions = Revisions::new();
        let mut heads = Vec::new();
        let mut durations = Vec::new();
        for entry in &self.pipelines {
            let entry = entry.lock();
            heads.push(encode(&entry.head()));
            durations.extend(entry.durations().map(|(number, durations)| {
                encode(&StoredDurations {
                    pipeline_id: entry.pipeline.id,
                    number,
                    durations: durations.clone(),
                })
            }));
            let kept = entry.all_revisions();
            revisions.extend(kept.map(|kept| ((kept.id, kept.revision), kept)));
        }
        let jobs = self.jobs_of_snapshot(&mut revisions);
        let records = self.records.read().all().map(record).collect();
        let due = self.due.lock();
        let answers = self.answers.lock();
        let dispatch = self.dispatch();
        let instance = StoredInstance {
            instance: self.instance.clone(),
            next_token: dispatch.first_free_token(),
            last_claim: due.last_token(),
        };
        Snapshot {
            instance: encode(&instance),
            heads,
            durations,
            revisions: revisions
                .values()
                .map(|revision| encode_pipeline(revision, &Unsealed))
                .collect(),
            jobs,
            runners: dispatch.runner_rows().map(encode).collect(),
            leases: dispatch.lease_rows().map(encode).collect(),
            bindings: dispatch
                .binding_rows()
                .map(|(id, rows)| (id, rows.iter().map(encode).collect()))
                .collect(),
            lost: dispatch
                .lost_rows()
                .map(|(id, rows)| (id, rows.iter().map(encode).collect()))
                .collect(),
            records,
            due: due.rows().iter().map(encode).collect(),
            answers: answers
                .in_order()
                .map(|(key, kept)| (key.clone(), encode(kept)))
                .collect(),
            facts: self.facts.read().all().map(encode).collect(),
            batches: self.recent.lock().in_order().collect(),
        }
    }

    /// The events of all jobs. Adds the revisions that they run.
    fn jobs_of_snapshot(&self, revisions: &mut Revisions) -> Vec<Vec<Row>> {
        let jobs = self.jobs.iter().map(|entry| {
            let entry = entry.lock();
            let pipeline = &entry.job.pipeline;
            revisions.insert((pipeline.id, pipeline.revision), Arc::clone(pipeline));
            let events = entry.events.iter();
            events.map(|event| encode_event(event, &Unsealed)).collect()
        });
        jobs.collect()
    }
}

fn record((collection, record): (&str, &Record)) -> Row {
    encode(&StoredRecord::of(collection, record))
}
