use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use parking_lot::{Condvar, Mutex};
use quick_cache::sync::Cache;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter, types::Value};
use tokio::task;

use crate::{
    domain::{Event, Job, JobFacts, JobId, JobState, Pipeline, PipelineId},
    store::{
        BatchId, FactsFilter, JobFilter, KeptAnswer, MemoryStore, RequestKey, StoreError,
        codec::{
            self, decode_event, decode_pipeline, decode_snapshot, job_state_number, time_to_nanos,
        },
        damaged,
        durable::Archive,
    },
};

use super::{
    Directory, OpenError, load,
    seals::{Opener, Owner, Seals},
};

/// Connections that read. A read that waits for one costs less than many reads that delay the
/// checkpoint of the WAL.
const READERS: usize = 4;
/// Revisions that are kept decoded.
const REVISIONS: usize = 256;
/// Nothing new is stored if fewer bytes are free: what was begun can end within them.
const MIN_FREE: u64 = 64 * 1024 * 1024;

/// The connections that read.
pub(super) struct Readers {
    directory: Directory,
    loaded_since: SystemTime,
    shared: Arc<Shared>,
}

struct Shared {
    pool: Mutex<Pool>,
    returned: Condvar,
    revisions: Cache<(PipelineId, i64), Arc<Pipeline>>,
    seals: Seals,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    /// Idle and in use.
    open: usize,
}

/// How many jobs are stored.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) ended: AtomicI64,
}

impl Readers {
    pub(super) fn open(
        directory: Directory,
        loaded_since: SystemTime,
        seals: Seals,
        counts: Arc<Counts>,
    ) -> Result<Self, OpenError> {
        let connection = directory.connect_to_read()?;
        let count = "SELECT count(*) FROM ended_job";
        let ended: i64 = connection.query_row(count, [], |row| row.get(0))?;
        counts.ended.store(ended, Ordering::Relaxed);
        Ok(Self {
            directory,
            loaded_since,
            shared: Arc::new(Shared {
                pool: Mutex::new(Pool {
                    idle: vec![connection],
                    open: 1,
                }),
                returned: Condvar::new(),
                revisions: Cache::new(REVISIONS),
                seals,
                counts,
            }),
        })
    }

    /// Jobs that have not ended, and jobs that have.
    pub(super) fn count(&self) -> Result<(u64, u64), OpenError> {
        let connection = self.directory.connect_to_read()?;
        let count = "SELECT count(*) FROM active_job";
        let active: i64 = connection.query_row(count, [], |row| row.get(0))?;
        let ended = self.shared.counts.ended.load(Ordering::Relaxed);
        Ok((active.cast_unsigned(), ended.cast_unsigned()))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (directory, shared) = (self.directory.clone(), Arc::clone(&self.shared));
        // Waits for a connection in the thread, and not in this future: one that is not polled
        // any more would keep its place in the queue.
        let read = task::spawn_blocking(move || {
            let connection = shared.take(&directory)?;
            let reader = Reader {
                connection: &connection,
                shared: &shared,
            };
            let result = read(&reader);
            shared.put_back(connection);
            result
        });
        read.await
            .unwrap_or_else(|error| Err(StoreError::transient(error.to_string())))
    }
}

impl Shared {
    /// A connection that no other read uses.
    fn take(&self, directory: &Directory) -> Result<Connection, StoreError> {
        let mut pool = self.pool.lock();
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Ok(connection);
            }
            if pool.open < READERS {
                let connection = directory.connect_to_read()?;
                pool.open += 1;
                return Ok(connection);
            }
            self.returned.wait(&mut pool);
        }
    }

    fn put_back(&self, connection: Connection) {
        self.pool.lock().idle.push(connection);
        self.returned.notify_one();
    }

    fn surplus(&self, keep: usize) -> i64 {
        let ended = self.counts.ended.load(Ordering::Relaxed);
        ended - i64::try_from(keep).unwrap_or(i64::MAX)
    }
}

/// A connection, for one read.
struct Reader<'a> {
    connection: &'a Connection,
    shared: &'a Shared,
}

impl Reader<'_> {
    fn seal(&self, owner: Owner) -> Opener<'_> {
        self.shared.seals.reading(self.connection, owner)
    }

    fn revision(&self, id: PipelineId, number: i64) -> Result<Option<Arc<Pipeline>>, StoreError> {
        let key = (id, number);
        if let Some(known) = self.shared.revisions.get(&key) {
            return Ok(Some(known));
        }
        let sql = "SELECT body FROM revision WHERE pipeline = ? AND number = ?";
        let mut query = self.connection.prepare_cached(sql)?;
        let body: Option<Vec<u8>> = query
            .query_row(params![id.0.into_bytes(), number], |row| row.get(0))
            .optional()?;
        let Some(body) = body else { return Ok(None) };
        let seal = self.seal(Owner::Revision(id, number));
        let revision = Arc::new(decode_pipeline(&body, &seal).map_err(damaged)?);
        self.shared.revisions.insert(key, Arc::clone(&revision));
        Ok(Some(revision))
    }

    /// A job that has ended.
    fn ended_job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        let sql = "SELECT snapshot, pipeline, revision FROM ended_job WHERE id = ?";
        let mut query = self.connection.prepare_cached(sql)?;
        let row: Option<(Vec<u8>, uuid::Uuid, i64)> = query
            .query_row([id.0.into_bytes()], |row| {
                Ok((
                    row.get(0)?,
                    uuid::Uuid::from_bytes(row.get(1)?),
                    row.get(2)?,
                ))
            })
            .optional()?;
        let Some((snapshot, pipeline, number)) = row else {
            return Ok(None);
        };
        let revision = self.revision(PipelineId(pipeline), number)?;
        let revisions = |_, _| revision.clone();
        let seal = self.seal(Owner::Job(id));
        let job = decode_snapshot(&snapshot, &seal, &revisions).map_err(damaged)?;
        Ok(Some(Arc::new(job)))
    }

    /// The events of a job that has ended.
    fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError> {
        let sql = "SELECT pipeline, revision FROM ended_job WHERE id = ?";
        let mut query = self.connection.prepare_cached(sql)?;
        let row: Option<(uuid::Uuid, i64)> = query
            .query_row([id.0.into_bytes()], |row| {
                Ok((uuid::Uuid::from_bytes(row.get(0)?), row.get(1)?))
            })
            .optional()?;
        let Some((pipeline, number)) = row else {
            return Ok(None);
        };
        let revision = self.revision(PipelineId(pipeline), number)?;
        let revisions = |_, _| revision.clone();
        let sql = "SELECT body FROM event WHERE job = ? AND sequence > ? ORDER BY sequence";
        let mut query = self.connection.prepare_cached(sql)?;
        let rows = query.query_map(params![id.0.into_bytes(), after], |row| row.get(0))?;
        let seal = self.seal(Owner::Job(id));
        let mut events = Vec::new();
        for body in rows {
            let body: Vec<u8> = body?;
            events.push(decode_event(&body, &seal, &revisions).map_err(damaged)?);
        }
        Ok(Some(events))
    }

    fn list_ended(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError> {
        let before = before.map_or([0xff; 16], |id| id.0.into_bytes());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut ids: Vec<JobId> = Vec::new();
        for state in JobState::ALL {
            let is_wanted = filter.states.is_empty() || filter.states.contains(&state);
            if !is_wanted || !state.is_terminal() {
                continue;
            }
            let state = job_state_number(state);
            let rest = "state = ? AND id < ? ORDER BY id DESC LIMIT ?";
            match (&filter.pipeline_id, &filter.projects) {
                (Some(pipeline), _) => {
                    let sql = format!("SELECT id FROM ended_job WHERE pipeline = ? AND {rest}");
                    let pipeline = pipeline.0.into_bytes();
                    self.add_ids(&mut ids, &sql, params![pipeline, state, before, limit])?;
                }
                (None, Some(projects)) => {
                    let sql = format!("SELECT id FROM ended_job WHERE project = ? AND {rest}");
                    for project in projects {
                        self.add_ids(&mut ids, &sql, params![project, state, before, limit])?;
                    }
                }
                (None, None) => {
                    let sql = format!("SELECT id FROM ended_job WHERE {rest}");
                    self.add_ids(&mut ids, &sql, params![state, before, limit])?;
                }
            }
        }
        ids.sort_unstable();
        let mut jobs = Vec::new();
        for id in ids.into_iter().rev() {
            if jobs.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                break;
            }
            let job = self.ended_job(id)?;
            jobs.extend(job.filter(|job| filter.matches(job)));
        }
        Ok(jobs)
    }

    fn add_ids(
        &self,
        ids: &mut Vec<JobId>,
        sql: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<(), StoreError> {
        let mut query = self.connection.prepare_cached(sql)?;
        let rows = query.query_map(values, |row| row.get(0))?;
        for id in rows {
            ids.push(JobId(uuid::Uuid::from_bytes(id?)));
        }
        Ok(())
    }

    fn expired_jobs(&self, keep: usize, before: SystemTime) -> Result<Vec<JobId>, StoreError> {
        let surplus = self.shared.surplus(keep).max(0);
        let before = time_to_nanos(before);
        let mut ids = Vec::new();
        let old = "SELECT id FROM ended_job WHERE end_time < ?
                   ORDER BY end_time, id LIMIT ?";
        self.add_ids(&mut ids, old, params![before, surplus])?;
        let rest = surplus - i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let never_ran = "SELECT id FROM ended_job WHERE has_run = 0
                         AND end_time >= ? ORDER BY end_time, id LIMIT ?";
        self.add_ids(&mut ids, never_ran, params![before, rest])?;
        Ok(ids)
    }

    fn facts(&self, filter: &FactsFilter) -> Result<Vec<Arc<JobFacts>>, StoreError> {
        let since = filter.since.map_or(i64::MIN, time_to_nanos);
        let before = filter.before.map_or(i64::MAX, time_to_nanos);
        let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
        let mut conditions = String::from("end_time >= ? AND end_time < ?");
        let mut values: Vec<Value> = vec![since.into(), before.into()];
        if let Some(id) = filter.pipeline_id {
            conditions.push_str(" AND pipeline = ?");
            values.push(id.0.into_bytes().to_vec().into());
        }
        if let Some(project) = &filter.project {
            conditions.push_str(" AND project = ?");
            values.push(project.clone().into());
        }
        values.push(limit.into());
        let sql =
            format!("SELECT body FROM facts WHERE {conditions} ORDER BY end_time, job LIMIT ?");
        let mut query = self.connection.prepare_cached(&sql)?;
        let rows = query.query_map(params_from_iter(values), |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|body| Ok(Arc::new(codec::decode(&body?).map_err(damaged)?)))
            .collect()
    }
}

#[async_trait]
impl Archive for Readers {
    fn load(&self) -> Result<MemoryStore, StoreError> {
        let connection = self.directory.connect_to_read()?;
        load::load(&connection, &self.shared.seals, self.loaded_since)
    }

    fn is_low_on_space(&self) -> bool {
        self.directory
            .free_space()
            .is_some_and(|free| free < MIN_FREE)
    }

    fn can_seal(&self) -> bool {
        self.shared.seals.0.is_some()
    }

    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        self.read(move |reader| reader.ended_job(id)).await
    }

    async fn events(&self, id: JobId, after: i64) -> Result<Option<Vec<Event>>, StoreError> {
        self.read(move |reader| reader.events(id, after)).await
    }

    async fn list_ended(
        &self,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError> {
        let filter = filter.clone();
        self.read(move |reader| reader.list_ended(&filter, before, limit))
            .await
    }

    async fn expired_jobs(
        &self,
        keep: usize,
        ended_before: SystemTime,
    ) -> Result<Vec<JobId>, StoreError> {
        // Asked at every end of a job, and nearly always there is none.
        if self.shared.surplus(keep) <= 0 {
            return Ok(Vec::new());
        }
        self.read(move |reader| reader.expired_jobs(keep, ended_before))
            .await
    }

    async fn has_ended_jobs(&self, project: &str) -> Result<bool, StoreError> {
        let project = project.to_owned();
        let sql = "SELECT EXISTS (
                       SELECT 1 FROM ended_job WHERE project = ?)";
        self.read(move |reader| {
            let mut query = reader.connection.prepare_cached(sql)?;
            Ok(query.query_row([project], |row| row.get(0))?)
        })
        .await
    }

    async fn facts(&self, filter: &FactsFilter) -> Result<Vec<Arc<JobFacts>>, StoreError> {
        let filter = filter.clone();
        self.read(move |reader| reader.facts(&filter)).await
    }

    async fn revision(
        &self,
        id: PipelineId,
        revision: i64,
    ) -> Result<Option<Arc<Pipeline>>, StoreError> {
        // One that is too old to be kept stays only with jobs that run it.
        let sql = "SELECT EXISTS (SELECT 1 FROM pipeline WHERE id = ?1 AND oldest_revision <= ?2)
                       OR EXISTS (SELECT 1 FROM ended_job WHERE pipeline = ?1 AND revision = ?2)
                       OR EXISTS (SELECT 1 FROM active_job WHERE pipeline = ?1 AND revision = ?2)";
        self.read(move |reader| {
            let mut query = reader.connection.prepare_cached(sql)?;
            let is_kept =
                query.query_row(params![id.0.into_bytes(), revision], |row| row.get(0))?;
            if is_kept {
                reader.revision(id, revision)
            } else {
                Ok(None)
            }
        })
        .await
    }

    async fn answer(&self, key: &RequestKey) -> Result<Option<KeptAnswer>, StoreError> {
        let key = key.clone();
        let sql = "SELECT body FROM answer
                   WHERE principal = ? AND method = ? AND request_id = ?";
        self.read(move |reader| {
            let mut query = reader.connection.prepare_cached(sql)?;
            let values = params![key.principal, key.method, key.request_id.into_bytes()];
            let body: Option<Vec<u8>> = query.query_row(values, |row| row.get(0)).optional()?;
            body.map(|body| codec::decode(&body).map_err(damaged))
                .transpose()
        })
        .await
    }

    async fn was_committed(&self, id: BatchId) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM batch WHERE id = ?)";
        self.read(move |reader| {
            let mut query = reader.connection.prepare_cached(sql)?;
            Ok(query.query_row([id.0.to_be_bytes()], |row| row.get(0))?)
        })
        .await
    }
}
