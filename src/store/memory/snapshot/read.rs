use crate::store::{
    MemoryStore, StoreError,
    codec::{self, Stored, StoredRecord, Unsealed, decode_event, decode_pipeline},
};

use super::{Restorer, Snapshot, damaged};

impl MemoryStore {
    /// The store that a snapshot was taken of.
    ///
    /// # Errors
    /// If a row cannot be read.
    pub fn restore(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let mut restorer = Restorer::new(decode(&snapshot.instance)?);
        for row in &snapshot.revisions {
            restorer.revision(decode_pipeline(row, &Unsealed).map_err(damaged)?);
        }
        for row in &snapshot.durations {
            restorer.durations(decode(row)?);
        }
        for row in &snapshot.heads {
            restorer.pipeline(decode(row)?)?;
        }
        for row in &snapshot.runners {
            restorer.runner(decode(row)?);
        }
        for row in &snapshot.leases {
            restorer.lease(decode(row)?);
        }
        for (job_id, rows) in &snapshot.bindings {
            for row in rows {
                restorer.binding(*job_id, &decode(row)?);
            }
        }
        for (job_id, rows) in &snapshot.lost {
            for row in rows {
                restorer.lost(*job_id, decode(row)?);
            }
        }
        for rows in &snapshot.jobs {
            let revisions = |id, revision| restorer.known_revision(id, revision);
            let event = |row: &Vec<u8>| decode_event(row, &Unsealed, &revisions).map_err(damaged);
            let events: Result<_, _> = rows.iter().map(event).collect();
            restorer.job(events?)?;
        }
        for row in &snapshot.records {
            let (collection, record) = decode::<StoredRecord>(row)?.into_record(super::name);
            restorer.record(collection, record);
        }
        for row in &snapshot.due {
            restorer.work(decode(row)?);
        }
        for (key, row) in &snapshot.answers {
            restorer.answer(key.clone(), decode(row)?);
        }
        for row in &snapshot.facts {
            restorer.facts(decode(row)?);
        }
        for id in &snapshot.batches {
            restorer.batch(*id);
        }
        Ok(restorer.finish())
    }
}

fn decode<T: Stored>(row: &[u8]) -> Result<T, StoreError> {
    codec::decode(row).map_err(damaged)
}
