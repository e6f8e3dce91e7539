//! Temporary directories, which are swept if their process was killed.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, statat},
    process::geteuid,
};

use super::{Child, Directory, removal};

/// What the names of temporary directories begin with.
const PREFIX: &str = "pipewright-tmp-";

/// Attempts to create a directory that the sweep of another process may remove.
const TRIES: usize = 8;

/// A temporary directory of this process, removed when it is dropped.
///
/// Its lock is held until then, and ends with the process, however that ends: the directory
/// of a process that was killed is not locked.
#[derive(Debug)]
pub struct Temporary {
    parent: Directory,
    child: Child,
    /// None where the file system has no locks: nothing is swept there.
    _lock: Option<File>,
}

impl Temporary {
    /// Creates one in `parent`, which exists.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(parent: &Path) -> io::Result<Self> {
        let parent = Directory::open(parent)?;
        let mut swept = io::ErrorKind::NotFound.into();
        for _ in 0..TRIES {
            let child = match parent.create(PREFIX) {
                Ok(child) => child,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    swept = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let lock = match lock(&parent, &child) {
                Ok(lock) => Some(lock),
                Err(TryLockError::Error(_)) => None,
                Err(TryLockError::WouldBlock) => continue,
            };
            // A sweep may have removed it before it was locked.
            if parent.has(&child) {
                return Ok(Self {
                    parent,
                    child,
                    _lock: lock,
                });
            }
        }
        Err(swept)
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.parent.path_of(&self.child)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.parent.remove(&self.child);
    }
}

/// Removes the temporary directories in `parent` that processes of this user left behind.
/// Failures are logged, and retried by the next sweep.
pub fn sweep(parent: &Path) {
    let (Ok(directory), Ok(entries)) = (Directory::open(parent), fs::read_dir(parent)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.as_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let Ok(found) = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let is_own = found.st_uid == geteuid().as_raw();
        if !is_own || FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            continue;
        }
        if let Ok(child) = directory.child(&name)
            // Held until it is removed, so that no other process does the same.
            && let Ok(_lock) = lock(&directory, &child)
        {
            directory.remove_left_behind(&name);
        }
    }
}

fn lock(parent: &Directory, child: &Child) -> Result<File, TryLockError> {
    let opened = removal::open(parent.as_fd(), child.name());
    let lock = File::from(opened.map_err(TryLockError::Error)?);
    lock.try_lock()?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn entries(parent: &Path) -> usize {
        fs::read_dir(parent).unwrap().count()
    }

    #[test]
    fn it_goes_when_it_is_dropped() {
        let parent = tempfile::tempdir().unwrap();
        let temporary = Temporary::create(parent.path()).unwrap();
        fs::create_dir(temporary.path().join("a")).unwrap();
        fs::write(temporary.path().join("a/file"), "").unwrap();
        sweep(parent.path());
        assert!(temporary.path().join("a/file").exists());
        drop(temporary);
        assert_eq!(entries(parent.path()), 0);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "").unwrap();
        let living = Temporary::create(path).unwrap();

        // As a process leaves it that is killed: there, and without a lock.
        let left = Temporary::create(path).unwrap();
        let dead = path.join(format!("{PREFIX}dead"));
        fs::create_dir(left.path().join("a")).unwrap();
        fs::rename(left.path(), &dead).unwrap();
        drop(left);
        symlink(outside.path(), dead.join("a/link")).unwrap();
        let others = [path.join("pipewright-logs"), path.join("mine")];
        for other in &others {
            fs::create_dir(other).unwrap();
        }
        symlink(outside.path(), path.join(format!("{PREFIX}link"))).unwrap();
        fs::write(path.join(format!("{PREFIX}file")), "").unwrap();

        sweep(path);
        assert!(!dead.exists() && living.path().exists());
        assert!(others.iter().all(|other| other.exists()));
        assert!(outside.path().join("file").exists());
        assert_eq!(entries(path), 5);
    }

    #[test]
    fn processes_that_start_together_do_not_remove_each_others() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let temporary = Temporary::create(parent.path()).unwrap();
                        sweep(parent.path());
                        fs::write(temporary.path().join("file"), "").unwrap();
                    }
                });
            }
        });
        sweep(parent.path());
        assert_eq!(entries(parent.path()), 0);
    }

    #[test]
    fn a_parent_that_is_missing_is_an_error() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("missing");
        assert!(Temporary::create(&missing).is_err());
        sweep(&missing);
    }
}
