//! The directory that logs are kept in.

use std::{
    fs::{self, DirEntry, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use tracing::info;
use uuid::Uuid;

/// Locked while a service uses the directory.
const LOCK: &str = ".lock";

/// Makes the directory if it is not there, and takes it over: no other service may use
/// it as long as the answer is kept. What an earlier process has left of its jobs
/// is removed, since nobody can ask for it any more.
///
/// # Errors
/// Another service uses it, or it cannot be read or written.
pub(super) fn take_over(root: &Path) -> io::Result<File> {
    fs::create_dir_all(root)?;
    let lock = lock(root)?;
    let mut removed = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if is_of_a_job(&entry)? {
            fs::remove_dir_all(entry.path())?;
            removed += 1;
        }
    }
    if removed > 0 {
        info!(directory = %root.display(), jobs = removed, "removed the logs of an earlier process");
    }
    Ok(lock)
}

fn lock(root: &Path) -> io::Result<File> {
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

/// Only what a service has made is ever removed: directories named as it writes ids.
fn is_of_a_job(entry: &DirEntry) -> io::Result<bool> {
    let name = entry.file_name();
    let is_id = name
        .to_str()
        .and_then(|name| Some((name, Uuid::try_parse(name).ok()?)))
        .is_some_and(|(name, id)| id.to_string() == name);
    Ok(is_id && entry.file_type()?.is_dir())
}
