//! The directory that a runner keeps from one process of it to the next.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use tracing::warn;

use crate::{
    domain::{JobId, RunnerId},
    scratch::Directory,
};

/// Name of the file with the runner's id.
const ID_FILE: &str = "runner-id";

/// A runner's directory, for as long as this process has it to itself.
///
/// The lock is on the directory and ends with the process, however that ends. A runner
/// in a service's own process holds a shared one, see [`share`].
pub(in crate::runner) struct Home {
    directory: PathBuf,
    _lock: File,
}

impl Home {
    /// Locks the directory, which is created if it does not exist.
    ///
    /// # Errors
    /// Another runner has locked it, or it cannot be used.
    pub(in crate::runner) fn take(directory: &Path) -> io::Result<Self> {
        let lock = fs::create_dir_all(directory)
            .and_then(|()| File::open(directory))
            .map_err(|error| unusable(&error, directory))?;
        lock.try_lock().map_err(|error| taken(error, directory))?;
        // Checked now, before the service relies on this runner.
        tempfile::tempfile_in(directory).map_err(|error| unusable(&error, directory))?;
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
        })
    }

    /// The id that the previous process was registered with; none for a new runner.
    pub(in crate::runner) fn runner_id(&self) -> Option<RunnerId> {
        let path = self.directory.join(ID_FILE);
        let text = fs::read_to_string(&path).ok()?;
        let id = text.trim().parse().ok();
        if id.is_none() {
            // Truncated by a crash during the write: the runner is a new one.
            warn!(path = %path.display(), "there is no runner's id in this file");
        }
        id
    }

    /// Keeps the id for the next process.
    pub(in crate::runner) fn keep(&self, id: RunnerId) -> io::Result<()> {
        let path = self.directory.join(ID_FILE);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        writeln!(file, "{id}")
    }

    /// Removes what an earlier process left behind: while this process has the lock, no
    /// other uses it.
    pub(in crate::runner) fn tidy_up(&self) -> io::Result<()> {
        let directory = Directory::open(&self.directory)?;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(is_workspace) || !entry.file_type()?.is_dir() {
                continue;
            }
            directory.remove_left_behind(&name);
        }
        Ok(())
    }
}

/// Locks a directory together with other such runners, and never at the same time as a
/// runner that has it exclusively and would remove their files.
pub(in crate::runner) fn share(directory: &Path) -> io::Result<File> {
    let lock = File::open(directory)?;
    lock.try_lock_shared()
        .map_err(|error| taken(error, directory))?;
    Ok(lock)
}

pub(super) fn unusable(error: &io::Error, directory: &Path) -> io::Error {
    let directory = directory.display();
    io::Error::other(format!(
        "cannot use the workspace directory {directory}: {error}"
    ))
}

fn taken(error: TryLockError, directory: &Path) -> io::Error {
    match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => {
            let directory = directory.display();
            io::Error::other(format!(
                "another runner uses the directory {directory}; give each its own"
            ))
        }
    }
}

/// `pipewright-JOB-SUFFIX`, as `workspace` names them.
fn is_workspace(name: &str) -> bool {
    let job = name
        .strip_prefix("pipewright-")
        .and_then(|rest| rest.rsplit_once('-'));
    job.is_some_and(|(job, _)| job.parse::<JobId>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_id_outlives_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let id = RunnerId(Uuid::now_v7());
        let home = Home::take(directory.path()).unwrap();
        assert_eq!(home.runner_id(), None);
        home.keep(RunnerId(Uuid::now_v7())).unwrap();
        home.keep(id).unwrap();
        drop(home);
        assert_eq!(Home::take(directory.path()).unwrap().runner_id(), Some(id));
        let file = fs::metadata(directory.path().join(ID_FILE)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_directory_is_one_runners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let home = Home::take(path).unwrap();
        for refused in [Home::take(path).err(), share(path).err()] {
            let message = refused.unwrap().to_string();
            assert!(message.contains("another runner uses"), "{message}");
        }
        drop(home);
        let one = share(path).unwrap();
        share(path).unwrap();
        assert!(Home::take(path).is_err());
        drop(one);
        Home::take(path).unwrap();
    }

    #[test]
    fn only_workspaces_are_tidied_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let job = Uuid::now_v7();
        let left = path.join(format!("pipewright-{job}-Ab12"));
        fs::create_dir_all(left.join("src")).unwrap();
        let others = [
            format!("pipewright-{job}"),
            "pipewright-logs-x".to_owned(),
            "mine".to_owned(),
        ];
        for other in &others {
            fs::create_dir(path.join(other)).unwrap();
        }
        let file = path.join(format!("pipewright-{job}-file"));
        fs::write(&file, "").unwrap();
        Home::take(path).unwrap().tidy_up().unwrap();
        assert!(!left.exists() && file.exists());
        assert!(others.iter().all(|other| path.join(other).exists()));
    }
}
