use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::{
    sync::{Semaphore, watch},
    task,
};

use crate::domain::{JobId, RunKey};

use super::{
    AppendError, GapReason, LogKey, LogLimits, LogRead, directory, layout::Layout, log::Log,
    total::Total,
};

/// Reads at a time. A thousand readers that wake at once take turns, instead of a
/// thread and a buffer each.
const READS_AT_ONCE: usize = 16;

/// Keeps logs as files under one directory: a directory a job, and for each stage run
/// a file, and one more once it outgrows half of its limit.
///
/// Readers read the files at their own offsets, so memory does not grow with a log
/// or with its readers.
pub struct FileLogs {
    root: PathBuf,
    layout: Layout,
    jobs: DashMap<JobId, HashMap<RunKey, Arc<Log>>>,
    pub(super) total: Arc<Total>,
    reads: Semaphore,
    /// Keeps other services out.
    _lock: File,
}

impl FileLogs {
    /// Logs under a directory, which is made if it is not there. Removes the logs that
    /// an earlier process has left in it, and nothing else.
    ///
    /// # Errors
    /// If another service uses the directory, or it cannot be used at all.
    pub fn new(root: PathBuf, limits: LogLimits) -> io::Result<Self> {
        Ok(Self {
            _lock: directory::take_over(&root)?,
            root,
            layout: Layout::new(limits.of_a_log),
            jobs: DashMap::new(),
            total: Arc::new(Total::new(limits.in_total)),
            reads: Semaphore::new(READS_AT_ONCE),
        })
    }

    /// Appends bytes and answers the log's size after it. Bytes below the size are
    /// taken as sent again. The `dropped` bytes before `offset` are not to come;
    /// those of them that are not stored become a gap.
    ///
    /// Goes on to its end when the future is dropped.
    ///
    /// # Errors
    /// [`AppendError::Hole`] when bytes are missing that were not dropped.
    pub async fn append(
        &self,
        key: LogKey,
        offset: u64,
        dropped: u64,
        data: Bytes,
    ) -> Result<u64, AppendError> {
        let log = self.log(key);
        let total = Arc::clone(&self.total);
        blocking(move || {
            let committed = log.append(offset, dropped, &data)?;
            total.keep_to_limit();
            Ok(committed)
        })
        .await
    }

    /// What there is at an offset: at most `limit` bytes, or a gap, neither of them
    /// further than `until`. Of a log that is not kept, all is a gap.
    pub async fn read(
        &self,
        key: LogKey,
        offset: u64,
        until: u64,
        limit: usize,
    ) -> io::Result<LogRead> {
        let Some(log) = self.known(key) else {
            return Ok(expired(offset, until));
        };
        let _turn = self.reads.acquire().await.map_err(io::Error::other)?;
        blocking(move || log.read(offset, until, limit)).await
    }

    /// Bytes in the files of all logs.
    pub fn stored(&self) -> u64 {
        self.total.bytes()
    }

    /// Size of the whole log so far, gaps included.
    pub fn size(&self, key: LogKey) -> u64 {
        self.known(key).map_or(0, |log| *log.size.borrow())
    }

    /// Tells the size whenever it has grown. For logs that are still written to.
    pub fn subscribe(&self, key: LogKey) -> watch::Receiver<u64> {
        self.log(key).size.subscribe()
    }

    /// Ends a log: its files are closed, nothing can be appended any more, and from
    /// now on it may have to make room for newer ones.
    pub async fn close(&self, key: LogKey) {
        let Some(log) = self.known(key) else { return };
        let total = Arc::clone(&self.total);
        // Fails only if it panicked, or the runtime is going down.
        let _ = blocking::<_, io::Error>(move || {
            total.end(&log);
            Ok(())
        })
        .await;
    }

    /// Removes all logs of a job.
    pub async fn remove(&self, job_id: JobId) -> io::Result<()> {
        let logs = self.jobs.remove(&job_id).map(|(_, logs)| logs);
        let total = Arc::clone(&self.total);
        let directory = self.job_directory(job_id);
        blocking(move || {
            for log in logs.unwrap_or_default().values() {
                total.forget(log);
            }
            match fs::remove_dir_all(directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            }
        })
        .await
    }

    fn known(&self, key: LogKey) -> Option<Arc<Log>> {
        self.jobs.get(&key.job_id)?.get(&key.run).cloned()
    }

    fn log(&self, key: LogKey) -> Arc<Log> {
        let mut runs = self.jobs.entry(key.job_id).or_default();
        let log = runs.entry(key.run).or_insert_with(|| {
            let name = format!("{}-{}.log", key.run.stage, key.run.attempt);
            let path = self.job_directory(key.job_id).join(name);
            let total = Arc::clone(&self.total.bytes);
            Arc::new(Log::new(path, self.layout, total))
        });
        Arc::clone(log)
    }

    fn job_directory(&self, job_id: JobId) -> PathBuf {
        self.root.join(job_id.to_string())
    }
}

fn expired(offset: u64, until: u64) -> LogRead {
    match offset < until {
        true => LogRead::Gap {
            range: offset..until,
            reason: GapReason::Expired,
        },
        false => LogRead::End,
    }
}

async fn blocking<T: Send + 'static, E: From<io::Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let done = task::spawn_blocking(work).await;
    done.map_err(|error| E::from(io::Error::other(error)))?
}
