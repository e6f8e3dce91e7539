//! The directories of logs: `ROOT/JOB_ID/STAGE-ATTEMPT/OFFSET.log`.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use uuid::Uuid;

use crate::domain::{JobId, RunKey};

use super::disk::{self, Disk};

/// Locked while a service uses the directory.
const LOCK: &str = ".lock";

/// Creates the directory if it does not exist, and locks it: no other service can use it as
/// long as the returned file is open.
///
/// # Errors
/// Another service uses it, or it cannot be read or written.
pub(super) fn lock(root: &Path) -> io::Result<File> {
    fs::create_dir_all(root)?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => Err(io::Error::other(
            "another service keeps its logs there; give each one a directory of its own",
        )),
    }
}

/// The jobs that have a directory. An entry whose name is not an id in the service's
/// spelling belongs to another program and is never touched.
pub(super) fn jobs(root: &Path) -> io::Result<Vec<JobId>> {
    directories(root, |name| {
        let id = Uuid::try_parse(name).ok()?;
        (id.to_string() == name).then_some(JobId(id))
    })
}

/// The stage runs that have a directory in that of their job.
pub(super) fn runs(job: &Path) -> io::Result<Vec<RunKey>> {
    directories(job, |name| {
        let (stage, attempt) = name.split_once('-')?;
        let (stage, attempt) = (stage.parse().ok()?, attempt.parse().ok()?);
        (run_name(RunKey { stage, attempt }) == name).then_some(RunKey { stage, attempt })
    })
}

fn directories<T>(parent: &Path, parse: impl Fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let parsed = entry.file_name().to_str().and_then(&parse);
        if let Some(parsed) = parsed
            && entry.file_type()?.is_dir()
        {
            found.push(parsed);
        }
    }
    Ok(found)
}

/// The files of one stage run. Created with the first byte: a stage that writes nothing
/// has no directory. Only clients that the service authorizes may read logs, so no
/// other user can read the files.
#[derive(Debug)]
pub(super) struct RunDirectory {
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

#[derive(Debug)]
pub(super) struct Scan {
    /// In order.
    pub(super) segments: Vec<Range<u64>>,
    /// When a segment was last written to.
    pub(super) newest: SystemTime,
}

impl RunDirectory {
    pub(super) fn new(job: &Path, run: RunKey, disk: Arc<dyn Disk>) -> Self {
        let path = job.join(run_name(run));
        Self { path, disk }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Names sort as their offsets do.
    pub(super) fn segment(&self, start: u64) -> PathBuf {
        self.path.join(format!("{start:020}.log"))
    }

    /// Opens a file, and creates it and the directory if they do not exist.
    pub(super) fn open_to_write(&self, path: &Path) -> io::Result<File> {
        self.open(path, false)
    }

    /// As [`open_to_write`](Self::open_to_write), but truncates the file.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.open(path, true)
    }

    fn open(&self, path: &Path, truncate: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(truncate).mode(0o600);
        options.read(true).write(true);
        match self.disk.open(&options, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.disk.create_directory(&self.path)?;
                self.disk.open(&options, path)
            }
            opened => opened,
        }
    }

    /// Replaces a file atomically: even after a loss of power it is the old or the new one.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let new = path.with_extension("new");
        let replaced = self.create(&new).and_then(|file| {
            disk::write_all_at(self.disk(), &file, bytes, 0).1?;
            self.disk.sync(&file)?;
            fs::rename(&new, path)
        });
        // A partial file would take space on a disk that may be full.
        replaced.inspect_err(|_| drop(fs::remove_file(&new)))
    }

    /// Names and lengths of the segments; no byte is read.
    pub(super) fn scan(&self) -> io::Result<Scan> {
        let mut scan = Scan {
            segments: Vec::new(),
            newest: SystemTime::UNIX_EPOCH,
        };
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Some(start) = entry.file_name().to_str().and_then(parse_segment) else {
                continue;
            };
            let metadata = entry.metadata()?;
            scan.newest = scan.newest.max(metadata.modified()?);
            let end = start.saturating_add(metadata.len());
            // A failed write leaves an empty file.
            if metadata.is_file() && start < end {
                scan.segments.push(start..end);
            }
        }
        let segments = &mut scan.segments;
        segments.sort_unstable_by_key(|segment| segment.start);
        // Bytes of a failed write may overlap with those that were written later.
        for index in 1..segments.len() {
            segments[index - 1].end = segments[index - 1].end.min(segments[index].start);
        }
        Ok(scan)
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        remove_all(&self.path)
    }
}

/// Removes a directory, which need not exist.
pub(super) fn remove_all(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn run_name(run: RunKey) -> String {
    format!("{}-{}", run.stage, run.attempt)
}

fn parse_segment(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let is_padded = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_padded.then(|| digits.parse().ok()).flatten()
}
