use std::{
    fs::File,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::{
    domain::{Change, Event, Job, JobId, Pipeline, PipelineId},
    store::{
        RowChange,
        codec::{
            StoredRecord, encode, encode_event, encode_pipeline, encode_snapshot, job_state_number,
            time_to_nanos,
        },
        durable::{Sink, SinkError},
    },
};

use super::{
    Directory,
    archive::Counts,
    seals::{self, Owner, Seals},
};

/// How long idempotency records are valid.
const ANSWERS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long facts are kept.
const FACTS_KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// How many of the newest batches are known.
const BATCHES_KEPT: i64 = 10_000;
/// Groups after which the size of the write-ahead log is checked.
const CHECK_WAL_AFTER: u32 = 4_096;
/// Beyond this size of the write-ahead log there is a warning.
const MAX_WAL: u64 = 256 * 1024 * 1024;
/// Rows that one transaction of maintenance removes of each kind.
const REMOVED_AT_ONCE: i64 = 1_000;

/// The connection that writes.
pub(super) struct SqliteSink {
    connection: Connection,
    directory: Directory,
    seals: Seals,
    counts: Arc<Counts>,
    /// Groups until the size of the write-ahead log is checked.
    unchecked: u32,
    /// Locks the directory for as long as anything may be written.
    _lock: File,
}

impl SqliteSink {
    pub(super) fn new(
        connection: Connection,
        directory: Directory,
        seals: Seals,
        counts: Arc<Counts>,
        lock: File,
    ) -> Self {
        Self {
            connection,
            directory,
            seals,
            counts,
            unchecked: CHECK_WAL_AFTER,
            _lock: lock,
        }
    }

    /// Warns if the write-ahead log grows: something reads for so long that the database cannot
    /// take its pages.
    fn check_wal(&mut self) {
        self.unchecked -= 1;
        if self.unchecked > 0 {
            return;
        }
        self.unchecked = CHECK_WAL_AFTER;
        let bytes = self.directory.wal_size();
        if bytes > MAX_WAL {
            tracing::warn!(
                bytes,
                "the write-ahead log of the database is large: a backup or another long read delays it"
            );
        }
    }
}

impl Sink for SqliteSink {
    fn write(&mut self, changes: &[RowChange]) -> Result<(), SinkError> {
        let transaction = begin(&mut self.connection)?;
        let mut ended = 0_i64;
        for change in changes {
            ended += match change {
                RowChange::AddEvents(job, events) => {
                    add_events(&transaction, &self.seals, job, events)?
                }
                RowChange::RemoveJob(job) => -remove_job(&transaction, *job)?,
                RowChange::AddRevision(revision) => {
                    add_revision(&transaction, &self.seals, revision)?;
                    0
                }
                other => apply(&transaction, other).map(|()| 0)?,
            };
        }
        transaction.commit()?;
        self.counts.ended.fetch_add(ended, Ordering::Relaxed);
        self.check_wal();
        Ok(())
    }

    fn maintain(&mut self) -> Result<bool, SinkError> {
        let transaction = begin(&mut self.connection)?;
        let removed = remove_old(&transaction)?;
        transaction.commit()?;
        Ok(removed >= REMOVED_AT_ONCE as usize)
    }
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn apply(rows: &Connection, change: &RowChange) -> rusqlite::Result<()> {
    let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        rows.prepare_cached(sql)?.execute(values).map(drop)
    };
    match change {
        RowChange::PutHead(head) => execute(
            "INSERT INTO pipeline (id, oldest_revision, head) VALUES (?, ?, ?) ON CONFLICT DO
             UPDATE SET oldest_revision = excluded.oldest_revision, head = excluded.head",
            params![id(head.id.0), head.oldest_revision, encode(head)],
        ),
        RowChange::PutDurations(durations) => execute(
            "UPDATE pipeline SET durations = ? WHERE id = ?",
            params![encode(durations), id(durations.pipeline_id.0)],
        ),
        RowChange::RemovePipeline(pipeline) => {
            execute("DELETE FROM pipeline WHERE id = ?", params![id(pipeline.0)])
        }
        RowChange::AddRevision(_) | RowChange::AddEvents(..) | RowChange::RemoveJob(_) => {
            unreachable!("these have functions of their own")
        }
        RowChange::AddFacts(facts) => execute(
            "INSERT INTO facts VALUES (?, ?, ?, ?, ?)",
            params![
                time_to_nanos(facts.end_time),
                id(facts.job_id.0),
                facts.project,
                id(facts.pipeline_id.0),
                encode(&**facts)
            ],
        ),
        RowChange::PutRunner(runner) => execute(
            "INSERT OR REPLACE INTO runner VALUES (?, ?)",
            params![id(runner.id.0), encode(&**runner)],
        ),
        RowChange::RemoveRunner(runner) => {
            execute("DELETE FROM runner WHERE id = ?", params![id(runner.0)])
        }
        RowChange::PutLease(lease) => execute(
            "INSERT OR REPLACE INTO lease VALUES (?, ?)",
            params![id(lease.id.0), encode(lease)],
        ),
        RowChange::RemoveLease(lease) => {
            execute("DELETE FROM lease WHERE id = ?", params![id(lease.0)])
        }
        RowChange::PutWorkspaces(job, bindings, lost) => {
            let bindings = bindings.iter().map(encode);
            put_list(rows, "binding", *job, bindings)?;
            put_list(rows, "lost_workspace", *job, lost.iter().map(encode))
        }
        RowChange::PutNextToken(token) => put_once(rows, "next_token", token.0),
        RowChange::PutRecord(collection, record) => execute(
            "INSERT OR REPLACE INTO record VALUES (?, ?, ?)",
            params![
                collection,
                record.key,
                encode(&StoredRecord::of(collection, record))
            ],
        ),
        RowChange::RemoveRecord(collection, key) => execute(
            "DELETE FROM record WHERE collection = ? AND key = ?",
            params![collection, key],
        ),
        RowChange::PutWork(work) => execute(
            "INSERT OR REPLACE INTO work VALUES (?, ?, ?, ?)",
            params![work.kind, work.key, work.token.0, encode(work)],
        ),
        RowChange::RemoveWork(work) => execute(
            "DELETE FROM work WHERE kind = ? AND key = ?",
            params![work.kind, work.key],
        ),
        RowChange::PutLastClaim(token) => put_once(rows, "last_claim", token.cast_signed()),
        RowChange::PutAnswer(key, kept) => execute(
            "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?)",
            params![
                key.principal,
                key.method,
                id(key.request_id),
                time_to_nanos(kept.time),
                encode(kept)
            ],
        ),
        RowChange::RemoveAnswer(key) => execute(
            "DELETE FROM answer WHERE principal = ? AND method = ? AND request_id = ?",
            params![key.principal, key.method, id(key.request_id)],
        ),
        RowChange::RemoveAnswersBefore(time) => execute(
            "DELETE FROM answer WHERE time < ?",
            params![time_to_nanos(*time)],
        ),
        RowChange::AddBatch(batch) => execute(
            "INSERT INTO batch (id) VALUES (?)",
            params![batch.0.to_be_bytes()],
        ),
    }
}

fn add_revision(rows: &Connection, seals: &Seals, revision: &Pipeline) -> Result<(), SinkError> {
    let (pipeline, number) = (revision.id, revision.revision);
    let has_secrets = !revision.spec.secret_variables.is_empty();
    let seal = seals.writing(rows, Owner::Revision(pipeline, number), has_secrets)?;
    let body = encode_pipeline(revision, &*seal);
    let sql = "INSERT INTO revision VALUES (?, ?, ?)";
    rows.prepare_cached(sql)?
        .execute(params![id(pipeline.0), number, body])?;
    Ok(())
}

/// Answers with how many jobs have ended.
fn add_events(
    rows: &Connection,
    seals: &Seals,
    job: &Job,
    events: &[Event],
) -> Result<i64, SinkError> {
    let is_new = events
        .first()
        .is_some_and(|event| matches!(event.change, Change::Created(_)));
    if is_new {
        let sql = "INSERT INTO active_job (pipeline, revision, id) VALUES (?, ?, ?)";
        rows.prepare_cached(sql)?.execute(params![
            id(job.pipeline.id.0),
            job.pipeline.revision,
            id(job.id.0)
        ])?;
    }
    let has_secrets = !job.secret_variables.is_empty();
    let is_sealed = has_secrets && (is_new || job.end_time.is_some());
    let seal = seals.writing(rows, Owner::Job(job.id), is_sealed)?;
    let mut insert = rows.prepare_cached("INSERT INTO event VALUES (?, ?, ?)")?;
    for event in events {
        let body = encode_event(event, &*seal);
        insert.execute(params![id(job.id.0), event.sequence, body])?;
    }
    let Some(end_time) = job.end_time else {
        return Ok(0);
    };
    let sql = "DELETE FROM active_job WHERE pipeline = ? AND revision = ? AND id = ?";
    let ended = rows.prepare_cached(sql)?.execute(params![
        id(job.pipeline.id.0),
        job.pipeline.revision,
        id(job.id.0)
    ])?;
    // Replaced if something happens to it after its end.
    let sql = "INSERT OR REPLACE INTO ended_job (id, project, pipeline, revision, end_time, state,
                                                 has_run, snapshot)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    rows.prepare_cached(sql)?.execute(params![
        id(job.id.0),
        job.pipeline.project,
        id(job.pipeline.id.0),
        job.pipeline.revision,
        time_to_nanos(end_time),
        job_state_number(job.state),
        job.start_time.is_some(),
        encode_snapshot(job, &*seal)
    ])?;
    Ok(i64::try_from(ended).unwrap_or(i64::MAX))
}

/// Answers with how many jobs were removed.
fn remove_job(rows: &Connection, job: JobId) -> rusqlite::Result<i64> {
    let values = params![id(job.0)];
    let sql = "DELETE FROM event WHERE job = ?";
    rows.prepare_cached(sql)?.execute(values)?;
    seals::forget(rows, Owner::Job(job))?;
    let sql = "DELETE FROM ended_job WHERE id = ?";
    let removed = rows.prepare_cached(sql)?.execute(values)?;
    Ok(i64::try_from(removed).unwrap_or(i64::MAX))
}

fn put_once(rows: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO once VALUES (?, ?)";
    rows.prepare_cached(sql)?.execute(params![name, value])?;
    Ok(())
}

/// Replaces the rows of a job, which have an order.
fn put_list(
    rows: &Connection,
    table: &str,
    job: JobId,
    bodies: impl Iterator<Item = Vec<u8>>,
) -> rusqlite::Result<()> {
    let delete = format!("DELETE FROM {table} WHERE job = ?");
    rows.prepare_cached(&delete)?.execute(params![id(job.0)])?;
    let insert = format!("INSERT INTO {table} VALUES (?, ?, ?)");
    for (position, body) in (0_i64..).zip(bodies) {
        let row = params![id(job.0), position, body];
        rows.prepare_cached(&insert)?.execute(row)?;
    }
    Ok(())
}

/// Removes a bounded number of rows that are too old, or of which nothing is left that refers
/// to them. Returns the largest number of one kind.
fn remove_old(rows: &Connection) -> rusqlite::Result<usize> {
    // The newest row tells the time, as that of the engine may be another one.
    let answers = rows
        .prepare_cached(
            "DELETE FROM answer WHERE (principal, method, request_id) IN (
             SELECT principal, method, request_id FROM answer
             WHERE time < (SELECT max(time) FROM answer) - ? ORDER BY time LIMIT ?)",
        )?
        .execute(params![nanos(ANSWERS_KEPT), REMOVED_AT_ONCE])?;
    let facts = rows
        .prepare_cached(
            "DELETE FROM facts WHERE (end_time, job) IN (
             SELECT end_time, job FROM facts
             WHERE end_time < (SELECT max(end_time) FROM facts) - ?
             ORDER BY end_time LIMIT ?)",
        )?
        .execute(params![nanos(FACTS_KEPT), REMOVED_AT_ONCE])?;
    let batches = rows
        .prepare_cached(
            "DELETE FROM batch WHERE position <= (SELECT max(position) FROM batch) - ?",
        )?
        .execute(params![BATCHES_KEPT])?;
    let revisions = unneeded_revisions(rows)?;
    for (pipeline, number) in &revisions {
        let sql = "DELETE FROM revision WHERE pipeline = ? AND number = ?";
        rows.prepare_cached(sql)?
            .execute(params![id(pipeline.0), number])?;
        seals::forget(rows, Owner::Revision(*pipeline, *number))?;
    }
    Ok(answers.max(facts).max(batches).max(revisions.len()))
}

/// Revisions that are not kept for themselves, and that no job runs.
fn unneeded_revisions(rows: &Connection) -> rusqlite::Result<Vec<(PipelineId, i64)>> {
    let mut query = rows.prepare_cached(
        "SELECT r.pipeline, r.number FROM revision r
         LEFT JOIN pipeline p ON p.id = r.pipeline
         WHERE (p.id IS NULL OR r.number < p.oldest_revision)
           AND NOT EXISTS (SELECT 1 FROM active_job j
                           WHERE j.pipeline = r.pipeline AND j.revision = r.number)
           AND NOT EXISTS (SELECT 1 FROM ended_job j
                           WHERE j.pipeline = r.pipeline AND j.revision = r.number)
         LIMIT ?",
    )?;
    let found = query.query_map([REMOVED_AT_ONCE], |row| {
        let pipeline = uuid::Uuid::from_bytes(row.get(0)?);
        Ok((PipelineId(pipeline), row.get(1)?))
    })?;
    found.collect()
}

fn id(id: uuid::Uuid) -> [u8; 16] {
    id.into_bytes()
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
