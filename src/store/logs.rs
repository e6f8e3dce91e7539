//! Stage logs: one file a stage run, read at any offset.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::{sync::watch, task};

use crate::domain::{JobId, RunKey};

/// Names the log of a stage run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogKey {
    /// The job.
    pub job_id: JobId,
    /// The run.
    pub run: RunKey,
}

/// Why bytes could not be appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The bytes would leave a hole after the committed size.
    #[error("the log ends at {committed}; bytes from a later offset leave a hole")]
    Hole {
        /// Everything below is stored.
        committed: u64,
    },
    /// The file could not be written.
    #[error("the log could not be written: {0}")]
    Io(#[from] io::Error),
}

/// Keeps logs as files under one directory: a directory a job, a file a stage run.
///
/// Readers read the files at their own offsets, so memory does not grow with a log
/// or with its readers.
pub struct FileLogs {
    root: PathBuf,
    jobs: DashMap<JobId, HashMap<RunKey, Arc<Log>>>,
}

struct Log {
    path: PathBuf,
    /// None until the first byte: a stage that writes nothing has no file.
    file: Mutex<Option<Arc<File>>>,
    size: watch::Sender<u64>,
}

impl FileLogs {
    /// Logs under a directory, which is made if it is not there.
    pub fn new(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self {
            root,
            jobs: DashMap::new(),
        })
    }

    /// Appends bytes and answers the log's size after it. Bytes below the size are
    /// taken as sent again. Calls for one log must not overlap.
    pub async fn append(&self, key: LogKey, offset: u64, data: Bytes) -> Result<u64, AppendError> {
        let log = self.log(key);
        let committed = *log.size.borrow();
        if offset > committed {
            return Err(AppendError::Hole { committed });
        }
        let known = usize::try_from(committed - offset).unwrap_or(usize::MAX);
        if known >= data.len() {
            return Ok(committed);
        }
        let size = offset + data.len() as u64;
        let writer = Arc::clone(&log);
        blocking(move || {
            writer
                .open_to_write()?
                .write_all_at(&data[known..], committed)
        })
        .await?;
        // Readers are woken only once the bytes can be read.
        log.size.send_replace(size);
        Ok(size)
    }

    /// At most `limit` bytes from an offset on; fewer at the end of what is stored,
    /// and none of a log that is not kept.
    pub async fn read(&self, key: LogKey, offset: u64, limit: usize) -> io::Result<Bytes> {
        let Some(log) = self.known(key) else {
            return Ok(Bytes::new());
        };
        let stored = log.size.borrow().saturating_sub(offset);
        let wanted = usize::try_from(stored).unwrap_or(usize::MAX).min(limit);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        blocking(move || {
            let mut buffer = vec![0; wanted];
            log.open_to_read()?.read_exact_at(&mut buffer, offset)?;
            Ok(Bytes::from(buffer))
        })
        .await
    }

    /// Bytes stored so far.
    pub fn size(&self, key: LogKey) -> u64 {
        self.known(key).map_or(0, |log| *log.size.borrow())
    }

    /// Tells the size whenever it has grown. For logs that are still written to.
    pub fn subscribe(&self, key: LogKey) -> watch::Receiver<u64> {
        self.log(key).size.subscribe()
    }

    /// Closes a finished log's file. Appending to it again opens it again.
    pub fn close(&self, key: LogKey) {
        if let Some(log) = self.known(key) {
            log.file.lock().take();
        }
    }

    /// Removes all logs of a job.
    pub async fn remove(&self, job_id: JobId) -> io::Result<()> {
        self.jobs.remove(&job_id);
        let directory = self.job_directory(job_id);
        match blocking(move || fs::remove_dir_all(directory)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn known(&self, key: LogKey) -> Option<Arc<Log>> {
        self.jobs.get(&key.job_id)?.get(&key.run).cloned()
    }

    fn log(&self, key: LogKey) -> Arc<Log> {
        let mut runs = self.jobs.entry(key.job_id).or_default();
        let log = runs.entry(key.run).or_insert_with(|| {
            let name = format!("{}-{}.log", key.run.stage, key.run.attempt);
            Arc::new(Log {
                path: self.job_directory(key.job_id).join(name),
                file: Mutex::new(None),
                size: watch::Sender::new(0),
            })
        });
        Arc::clone(log)
    }

    fn job_directory(&self, job_id: JobId) -> PathBuf {
        self.root.join(job_id.to_string())
    }
}

impl Log {
    /// The file, made if need be and kept open until [`FileLogs::close`].
    fn open_to_write(&self) -> io::Result<Arc<File>> {
        let mut file = self.file.lock();
        if let Some(file) = file.as_ref() {
            return Ok(Arc::clone(file));
        }
        fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.path)?;
        Ok(Arc::clone(file.insert(Arc::new(opened))))
    }

    /// The file, opened for this one use if nobody writes to it: the logs of kept
    /// jobs hold no descriptors.
    fn open_to_read(&self) -> io::Result<Arc<File>> {
        match self.file.lock().as_ref() {
            Some(file) => Ok(Arc::clone(file)),
            None => File::open(&self.path).map(Arc::new),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    task::spawn_blocking(work).await.map_err(io::Error::other)?
}
