use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};

use super::removal::{self, Identity};
use crate::telemetry::metrics;

/// A directory that stays the same, wherever its path leads later.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    descriptor: OwnedFd,
}

/// A directory that was created in a [`Directory`].
#[derive(Debug)]
pub struct Child {
    name: OsString,
    identity: Identity,
}

impl Directory {
    /// Opens a directory that exists.
    ///
    /// # Errors
    /// It cannot be opened, or it is no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            path: path.to_owned(),
            descriptor: openat(CWD, path, flags, Mode::empty())?,
        })
    }

    /// Creates a directory with mode 0700 in it; its name is the prefix and a random
    /// suffix.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn create(&self, prefix: &str) -> io::Result<Child> {
        let created = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(fs::Permissions::from_mode(0o700))
            .disable_cleanup(true)
            .tempdir_in(&self.path)?;
        let name = created.path().file_name();
        let name = name.expect("what was created in a directory has a name");
        self.child(name)
    }

    /// The directory with this name, which another process created.
    ///
    /// # Errors
    /// It does not exist, or it cannot be opened.
    pub(super) fn child(&self, name: &OsStr) -> io::Result<Child> {
        let found = statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Child {
            name: name.to_owned(),
            identity: Identity::of(&found),
        })
    }

    #[cfg(test)]
    pub(super) fn identity_of(&self, child: &Child) -> Identity {
        child.identity
    }

    /// Where this is, as far as the caller knows.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a child, as far as the caller knows.
    pub fn path_of(&self, child: &Child) -> PathBuf {
        self.path.join(&child.name)
    }

    /// Whether a child is still where it was created.
    pub(super) fn has(&self, child: &Child) -> bool {
        let found = self.child(&child.name);
        found.is_ok_and(|found| found.identity == child.identity)
    }

    /// Removes a child with all that is in it. What cannot be removed is logged and
    /// counted.
    pub fn remove(&self, child: &Child) {
        let removed = removal::remove(self, &child.name, child.identity);
        if let Err(remains) = removed {
            ::metrics::counter!(metrics::DIRECTORIES_LEFT).increment(1);
            tracing::warn!(path = %remains.path.display(), reason = %remains.reason,
                "could not remove a directory");
        }
    }

    /// Removes a directory that another process left behind in this one.
    pub fn remove_left_behind(&self, name: &OsStr) {
        // A directory that does not exist any more is removed already.
        if let Ok(child) = self.child(name) {
            tracing::info!(path = %self.path_of(&child).display(),
                "removing a directory that was left behind");
            self.remove(&child);
        }
    }
}

impl Child {
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
