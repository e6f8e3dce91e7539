use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io,
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use tokio::{
    sync::{Semaphore, watch},
    task,
};
use tokio_util::task::AbortOnDropHandle;

use crate::domain::{JobId, LogLoss, RunKey};

use super::{
    AppendError, GapReason, Kept, LogKey, LogLimits, LogRead, LogStore, WriteTime,
    directory::{self, RunDirectory},
    disk::{Disk, RealDisk},
    layout::Layout,
    log::Log,
    times,
    total::Total,
};

/// Concurrent reads. A thousand readers that wake at the same time take turns, instead
/// of a thread and a buffer each.
pub(super) const MAX_CONCURRENT_READS: usize = 16;

/// Stores logs as files under one directory: a directory per job, in it one per stage
/// run, and in that the segments, named after their first offset.
///
/// Readers read the files at their own offsets, so memory does not grow with a log
/// or with its readers. Only a log that is written to has an open file, and only one.
pub struct FileLogs {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    layout: Layout,
    durability: Durability,
    jobs: DashMap<JobId, HashMap<RunKey, Arc<Log>>>,
    pub(super) total: Arc<Total>,
    reads: Arc<Semaphore>,
    /// Keeps other services out.
    _lock: File,
}

/// Which failures logs survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, at most: nothing is synced. For a service whose jobs do not
    /// outlive it either.
    Process,
    /// A loss of power: [`LogStore::sync`] waits for the disk.
    Disk,
}

impl FileLogs {
    /// Logs under a directory, which is created if it does not exist. The logs of an
    /// earlier process are kept, and an append to one continues at its end; until then it
    /// counts as ended. Blocks: it lists each stage run's directory.
    ///
    /// # Errors
    /// If another service uses the directory, or it cannot be used at all.
    pub fn open(root: PathBuf, limits: LogLimits, durability: Durability) -> io::Result<Self> {
        Self::open_on(Arc::new(RealDisk), root, limits, durability)
    }

    /// The same on another disk.
    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        root: PathBuf,
        limits: LogLimits,
        durability: Durability,
    ) -> io::Result<Self> {
        let logs = Self {
            _lock: directory::lock(&root)?,
            root,
            disk,
            layout: Layout::new(limits.of_a_log),
            durability,
            jobs: DashMap::new(),
            total: Arc::new(Total::new(limits.in_total)),
            reads: Arc::new(Semaphore::new(MAX_CONCURRENT_READS)),
        };
        logs.load()?;
        Ok(logs)
    }

    fn load(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for job_id in directory::jobs(&self.root)? {
            for run in directory::runs(&self.job_directory(job_id))? {
                let directory = self.run_directory(LogKey { job_id, run });
                let total = Arc::clone(&self.total.bytes);
                let (log, newest) = Log::load(directory, self.layout, total)?;
                let log = Arc::new(log);
                found.push((newest, Arc::clone(&log)));
                self.jobs.entry(job_id).or_default().insert(run, log);
            }
        }
        found.sort_by_key(|(newest, _)| *newest);
        found.iter().for_each(|(_, log)| self.total.found(log));
        self.total.keep_to_limit();
        Ok(())
    }

    fn known(&self, key: LogKey) -> Option<Arc<Log>> {
        self.jobs.get(&key.job_id)?.get(&key.run).cloned()
    }

    fn log(&self, key: LogKey) -> Arc<Log> {
        let mut runs = self.jobs.entry(key.job_id).or_default();
        let log = runs.entry(key.run).or_insert_with(|| {
            let total = Arc::clone(&self.total.bytes);
            Arc::new(Log::new(self.run_directory(key), self.layout, total))
        });
        Arc::clone(log)
    }

    /// Reads, once fewer than [`MAX_CONCURRENT_READS`] others do. In a task of its own: the
    /// caller may be a response stream, which is not polled while its client does not read.
    /// It would keep its permit, or its place at the head of the queue, all that time.
    async fn in_turn<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let reads = Arc::clone(&self.reads);
        let task = AbortOnDropHandle::new(task::spawn(async move {
            let _permit = reads.acquire().await.map_err(io::Error::other)?;
            blocking(read).await
        }));
        task.await.map_err(io::Error::other)?
    }

    fn job_directory(&self, job_id: JobId) -> PathBuf {
        self.root.join(job_id.to_string())
    }

    fn run_directory(&self, key: LogKey) -> RunDirectory {
        RunDirectory::new(
            &self.job_directory(key.job_id),
            key.run,
            Arc::clone(&self.disk),
        )
    }
}

#[async_trait]
impl LogStore for FileLogs {
    async fn append(
        &self,
        key: LogKey,
        offset: u64,
        dropped: u64,
        data: Bytes,
    ) -> Result<Kept, AppendError> {
        let log = self.log(key);
        let total = Arc::clone(&self.total);
        blocking(move || {
            total.resume(&log);
            let now = times::micros(SystemTime::now());
            let kept = log.append(offset, dropped, &data, now)?;
            total.keep_to_limit();
            Ok(kept)
        })
        .await
    }

    async fn read(
        &self,
        key: LogKey,
        offset: u64,
        until: u64,
        limit: usize,
    ) -> io::Result<LogRead> {
        let Some(log) = self.known(key) else {
            return Ok(expired(offset, until));
        };
        self.in_turn(move || log.read(offset, until, limit)).await
    }

    async fn times(&self, key: LogKey, range: Range<u64>) -> io::Result<Vec<WriteTime>> {
        let Some(log) = self.known(key) else {
            return Ok(Vec::new());
        };
        self.in_turn(move || log.times(range)).await
    }

    fn size(&self, key: LogKey) -> u64 {
        self.known(key).map_or(0, |log| *log.size.borrow())
    }

    fn loss(&self, key: LogKey) -> LogLoss {
        self.known(key).map(|log| log.loss()).unwrap_or_default()
    }

    fn subscribe(&self, key: LogKey) -> watch::Receiver<u64> {
        self.log(key).size.subscribe()
    }

    async fn sync(&self, key: LogKey) -> io::Result<Kept> {
        let Some(log) = self.known(key) else {
            return Ok(Kept::all(0));
        };
        // Nothing was stored, so nothing can be lost.
        if *log.size.borrow() == 0 {
            return Ok(Kept::all(0));
        }
        let durability = self.durability;
        blocking(move || Ok(log.sync(durability))).await
    }

    async fn close(&self, key: LogKey) {
        let Some(log) = self.known(key) else { return };
        let total = Arc::clone(&self.total);
        // Fails only if it panicked, or the runtime is shutting down.
        let _ = blocking::<_, io::Error>(move || {
            total.end(&log);
            Ok(())
        })
        .await;
    }

    async fn remove(&self, job_id: JobId) -> io::Result<()> {
        let logs = self.jobs.remove(&job_id).map(|(_, logs)| logs);
        let total = Arc::clone(&self.total);
        let directory = self.job_directory(job_id);
        blocking(move || {
            for log in logs.unwrap_or_default().values() {
                total.forget(log);
            }
            directory::remove_all(&directory)
        })
        .await
    }

    async fn jobs(&self) -> io::Result<Vec<JobId>> {
        let root = self.root.clone();
        let on_disk = blocking(move || directory::jobs(&root)).await?;
        // A log without any bytes yet is in memory only.
        let in_memory = self.jobs.iter().map(|job| *job.key());
        let jobs: BTreeSet<JobId> = in_memory.chain(on_disk).collect();
        Ok(jobs.into_iter().collect())
    }

    fn stored(&self) -> u64 {
        self.total.bytes()
    }
}

fn expired(offset: u64, until: u64) -> LogRead {
    if offset < until {
        LogRead::Gap {
            range: offset..until,
            reason: GapReason::Expired,
        }
    } else {
        LogRead::End
    }
}

async fn blocking<T: Send + 'static, E: From<io::Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let done = task::spawn_blocking(work).await;
    done.map_err(|error| E::from(io::Error::other(error)))?
}
