//! Everything that has to be in memory, from the rows of the database.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Params, params};
use uuid::Uuid;

use crate::{
    domain::{FencingToken, JobId, PipelineId},
    store::{
        BatchId, MemoryStore, RequestKey, Restorer, StoreError,
        codec::{
            self, Stored, StoredInstance, StoredRecord, decode_event, decode_pipeline,
            time_to_nanos,
        },
        damaged, name,
    },
};

use super::seals::{Owner, Seals};

/// Loads everything active, the jobs that ended at a time or later, and the idempotency records
/// that were made then.
pub(super) fn load(
    rows: &Connection,
    seals: &Seals,
    since: SystemTime,
) -> Result<MemoryStore, StoreError> {
    // One state of the database, whatever is written meanwhile.
    let rows = rows.unchecked_transaction()?;
    let rows: &Connection = &rows;
    let since = time_to_nanos(since);
    let mut restorer = Restorer::new(instance(rows)?);
    // Those of pipelines that exist, and those that jobs run which are loaded.
    let revisions = "SELECT pipeline, number, body FROM revision r
         WHERE EXISTS (SELECT 1 FROM pipeline p WHERE p.id = r.pipeline)
            OR EXISTS (SELECT 1 FROM active_job j
                       WHERE j.pipeline = r.pipeline AND j.revision = r.number)
            OR (pipeline, number) IN (SELECT pipeline, revision FROM ended_job
                                      WHERE end_time >= ?)
         ORDER BY pipeline, number";
    let mut query = rows.prepare(revisions)?;
    let mut found = query.query([since])?;
    while let Some(row) = found.next()? {
        let owner = Owner::Revision(PipelineId(Uuid::from_bytes(row.get(0)?)), row.get(1)?);
        let body: Vec<u8> = row.get(2)?;
        let revision = decode_pipeline(&body, &seals.reading(rows, owner));
        restorer.revision(revision.map_err(damaged)?);
    }
    let durations = "SELECT durations FROM pipeline WHERE durations IS NOT NULL";
    each(rows, durations, [], |body| {
        restorer.durations(decode(&body)?);
        Ok(())
    })?;
    each(rows, "SELECT head FROM pipeline", [], |body| {
        restorer.pipeline(decode(&body)?)
    })?;
    each(rows, "SELECT body FROM runner", [], |body| {
        restorer.runner(decode(&body)?);
        Ok(())
    })?;
    each(rows, "SELECT body FROM lease", [], |body| {
        restorer.lease(decode(&body)?);
        Ok(())
    })?;
    let bindings = "SELECT job, body FROM binding ORDER BY job, position";
    each_of_job(rows, bindings, [], |job_id, body| {
        restorer.binding(job_id, &decode(&body)?);
        Ok(())
    })?;
    let lost = "SELECT job, body FROM lost_workspace ORDER BY job, position";
    each_of_job(rows, lost, [], |job_id, body| {
        restorer.lost(job_id, decode(&body)?);
        Ok(())
    })?;
    load_jobs(rows, seals, &mut restorer, since)?;
    each(rows, "SELECT body FROM record", [], |body| {
        let (collection, record) = decode::<StoredRecord>(&body)?.into_record(name);
        restorer.record(collection, record);
        Ok(())
    })?;
    each(rows, "SELECT body FROM work ORDER BY token", [], |body| {
        restorer.work(decode(&body)?);
        Ok(())
    })?;
    load_answers(rows, &mut restorer, since)?;
    let facts = "SELECT body FROM facts WHERE end_time >= ? ORDER BY end_time, job";
    each(rows, facts, [since], |body| {
        restorer.facts(decode(&body)?);
        Ok(())
    })?;
    let mut batches = rows.prepare("SELECT id FROM batch ORDER BY position")?;
    for id in batches.query_map([], |row| row.get(0))? {
        restorer.batch(BatchId(u128::from_be_bytes(id?)));
    }
    Ok(restorer.finish())
}

fn instance(rows: &Connection) -> Result<StoredInstance, StoreError> {
    let once = |name: &str| {
        let sql = "SELECT value FROM once WHERE name = ?";
        let value: Option<i64> = rows.query_row(sql, [name], |row| row.get(0)).optional()?;
        Ok::<_, StoreError>(value)
    };
    let sql = "SELECT value FROM once WHERE name = 'instance'";
    let body: Vec<u8> = rows.query_row(sql, [], |row| row.get(0))?;
    let mut instance: StoredInstance = decode(&body)?;
    if let Some(token) = once("next_token")? {
        instance.next_token = FencingToken(token);
    }
    if let Some(token) = once("last_claim")? {
        instance.last_claim = token.cast_unsigned();
    }
    Ok(instance)
}

fn load_jobs(
    rows: &Connection,
    seals: &Seals,
    restorer: &mut Restorer,
    since: i64,
) -> Result<(), StoreError> {
    let active = "SELECT id FROM active_job ORDER BY id";
    let ended = "SELECT id FROM ended_job WHERE end_time >= ? ORDER BY end_time, id";
    let mut ids = job_ids(rows, active, params![])?;
    ids.extend(job_ids(rows, ended, params![since])?);
    let mut query = rows.prepare("SELECT body FROM event WHERE job = ? ORDER BY sequence")?;
    for job_id in ids {
        let revisions = |id, number| restorer.known_revision(id, number);
        let seal = seals.reading(rows, Owner::Job(job_id));
        let mut found = query.query([job_id.0.into_bytes()])?;
        let mut events = Vec::new();
        while let Some(row) = found.next()? {
            let body: Vec<u8> = row.get(0)?;
            events.push(decode_event(&body, &seal, &revisions).map_err(damaged)?);
        }
        // There may be very many that wait, to which nothing comes for long.
        events.shrink_to_fit();
        restorer.job(events)?;
    }
    Ok(())
}

fn job_ids(rows: &Connection, sql: &str, values: impl Params) -> Result<Vec<JobId>, StoreError> {
    let mut query = rows.prepare(sql)?;
    let ids = query.query_map(values, |row| row.get(0))?;
    ids.map(|id| Ok(JobId(Uuid::from_bytes(id?)))).collect()
}

fn load_answers(rows: &Connection, restorer: &mut Restorer, since: i64) -> Result<(), StoreError> {
    let sql = "SELECT principal, method, request_id, body FROM answer
               WHERE time >= ? ORDER BY time";
    let mut query = rows.prepare(sql)?;
    let answers = query.query_map([since], |row| {
        let key = RequestKey {
            principal: row.get(0)?,
            method: row.get(1)?,
            request_id: Uuid::from_bytes(row.get(2)?),
        };
        Ok((key, row.get::<_, Vec<u8>>(3)?))
    })?;
    for answer in answers {
        let (key, body) = answer?;
        restorer.answer(key, decode(&body)?);
    }
    Ok(())
}

/// Calls `take` with the first column of each row.
fn each(
    rows: &Connection,
    sql: &str,
    values: impl Params,
    mut take: impl FnMut(Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut query = rows.prepare(sql)?;
    let mut found = query.query(values)?;
    while let Some(row) = found.next()? {
        take(row.get(0)?)?;
    }
    Ok(())
}

/// Calls `take` with the job and the body of each row.
fn each_of_job(
    rows: &Connection,
    sql: &str,
    values: impl Params,
    mut take: impl FnMut(JobId, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut query = rows.prepare(sql)?;
    let mut found = query.query(values)?;
    while let Some(row) = found.next()? {
        take(JobId(Uuid::from_bytes(row.get(0)?)), row.get(1)?)?;
    }
    Ok(())
}

fn decode<T: Stored>(body: &[u8]) -> Result<T, StoreError> {
    codec::decode(body).map_err(damaged)
}
