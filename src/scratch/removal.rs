//! Removes a directory in which untrusted commands ran.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Stat, fchmod, fstat, openat, renameat, statat,
        unlinkat,
    },
    io::Errno,
};
use uuid::Uuid;

use super::directory::Directory;

/// Distinguishes a directory from another one that is put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    #[expect(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "the types differ between systems"
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino.into(),
        }
    }
}

/// The entries that could not be removed.
#[derive(Debug)]
pub(super) struct Remains {
    /// Where the first of it is.
    pub(super) path: PathBuf,
    pub(super) reason: io::Error,
}

/// Removes the directory `name` in `parent`, if it is the one with this identity, as far
/// as that goes. Mounts in it are left alone, and so is what it was moved to.
///
/// Not by `remove_dir_all`: a command can nest directories deeper than the stack and the
/// open files of this process reach. Each is moved up to right below the root instead,
/// before its turn comes.
pub(super) fn remove(parent: &Directory, name: &OsStr, identity: Identity) -> Result<(), Remains> {
    let path = parent.path().join(name);
    let remains = |reason: io::Error| Remains {
        path: path.clone(),
        reason,
    };
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if Identity::of(&found) == identity => {}
        Ok(found) => {
            // A link or a file in its place is only unlinked.
            if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
                let _ = unlinkat(parent, name, AtFlags::empty());
            }
            return Err(remains(replaced()));
        }
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(remains(error.into())),
    }
    // Removes it if it is empty, and shows whether something is mounted there.
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(error) => return Err(remains(error.into())),
    }
    let root = open(parent.as_fd(), name).map_err(remains)?;
    let found = fstat(&root).map_err(|error| remains(error.into()))?;
    if Identity::of(&found) != identity {
        return Err(remains(replaced()));
    }
    make_writable(&root);
    let mut removal = Removal {
        root,
        path: &path,
        device: identity.device,
        first: None,
    };
    removal.empty_root();
    match (unlinkat(parent, name, AtFlags::REMOVEDIR), removal.first) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(first)) => Err(first),
        (Err(error), None) => Err(remains(error.into())),
    }
}

fn replaced() -> io::Error {
    io::Error::other("something else was put in its place; its files may be elsewhere")
}

struct Removal<'a> {
    root: OwnedFd,
    /// Where `root` is, for people.
    path: &'a Path,
    device: u64,
    /// The first that could not be removed.
    first: Option<Remains>,
}

impl Removal<'_> {
    fn empty_root(&mut self) {
        let mut stuck = HashSet::new();
        loop {
            let mut is_done = true;
            for name in names(self.root.as_fd()) {
                if stuck.contains(&name) {
                    continue;
                }
                is_done = false;
                if let Err(reason) = self.remove_entry(&name) {
                    self.note(Path::new(&name), reason);
                    stuck.insert(name);
                }
            }
            if is_done {
                return;
            }
        }
    }

    /// Removes an entry of the root; directories in it become entries of the root.
    fn remove_entry(&mut self, name: &OsStr) -> io::Result<()> {
        if remove_single(self.root.as_fd(), name)? {
            return Ok(());
        }
        let directory = self.open(self.root.as_fd(), name)?;
        loop {
            let mut is_done = true;
            for inner in names(directory.as_fd()) {
                match self.take_out(directory.as_fd(), &inner) {
                    Ok(()) => is_done = false,
                    Err(reason) => self.note(&Path::new(name).join(inner), reason),
                }
            }
            if is_done {
                break;
            }
        }
        Ok(unlinkat(&self.root, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes an entry of a directory, or moves it to right below the root.
    fn take_out(&self, directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        if remove_single(directory, name)? {
            return Ok(());
        }
        // Its entry for its parent changes, so it has to be writable.
        self.open(directory, name)?;
        let target = Uuid::new_v4().to_string();
        Ok(renameat(directory, name, &self.root, target)?)
    }

    /// Opens a directory of the same file system.
    fn open(&self, parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
        let directory = open(parent, name)?;
        if Identity::of(&fstat(&directory)?).device != self.device {
            return Err(io::Error::other("another file system is mounted there"));
        }
        make_writable(&directory);
        Ok(directory)
    }

    fn note(&mut self, name: &Path, reason: io::Error) {
        let path = self.path.join(name);
        self.first.get_or_insert(Remains { path, reason });
    }
}

/// Removes a file, a link or an empty directory. False for a directory that is not empty;
/// for one that something is mounted on that is an error.
fn remove_single(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<bool> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        // The errors that systems return for a directory.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    match unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        // A file that cannot be removed.
        Err(Errno::NOTDIR) => Err(Errno::PERM.into()),
        Err(error) => Err(error.into()),
    }
}

/// The names in a directory; those that cannot be read are found missing later.
fn names(directory: BorrowedFd<'_>) -> impl Iterator<Item = OsString> + use<> {
    let entries = Dir::read_from(directory).into_iter().flatten();
    entries.map_while(Result::ok).filter_map(|entry| {
        let name = entry.file_name().to_bytes();
        (name != b"." && name != b"..").then(|| OsStr::from_bytes(name).to_owned())
    })
}

/// Gives the owner all rights to a directory: some tools leave directories that only root
/// could remove as they are. If that fails, the removal of an entry reports the error.
fn make_writable(directory: &OwnedFd) {
    let _ = fchmod(directory, Mode::RWXU);
}

/// Opens a directory, never a link to one, even if its owner has no right to it.
pub(super) fn open(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => open_unreadable(parent, name, flags)?,
        opened => opened?,
    })
}

#[cfg(target_os = "linux")]
fn open_unreadable(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;

    // A descriptor that names the directory and needs no right to it.
    let path = openat(parent, name, flags | OFlags::PATH, Mode::empty())?;
    let link = format!("/proc/self/fd/{}", path.as_raw_fd());
    rustix::fs::chmod(link, Mode::RWXU)?;
    openat(&path, ".", flags, Mode::empty())
}

#[cfg(not(target_os = "linux"))]
fn open_unreadable(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)?;
    openat(parent, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests;
