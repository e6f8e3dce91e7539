//! Changes of a file that holds a secret.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// A file could not be read, locked or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct FileError {
    /// The operation, as a verb.
    pub what: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl FileError {
    /// Adds the operation and the path to an error.
    pub fn of(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { what, path, source }
    }
}

/// A file that is locked against concurrent changes.
#[derive(Debug)]
pub struct Locked {
    path: PathBuf,
    _lock: File,
}

impl Locked {
    /// Waits until no other process changes the file. The lock is a file beside it,
    /// because the file itself is replaced by each change.
    ///
    /// # Errors
    /// If the lock cannot be created, or the directory that is missing for it.
    pub fn lock(path: &Path) -> Result<Self, FileError> {
        // A symbolic link is preserved.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let directory = directory(&path);
        let mut make = DirBuilder::new();
        let made = make.recursive(true).mode(0o700).create(directory);
        made.map_err(FileError::of("make the directory", directory))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let lock = path.with_file_name(name);
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).mode(0o600).open(&lock);
        let file = opened.map_err(FileError::of("lock", &lock))?;
        file.lock().map_err(FileError::of("lock", &lock))?;
        Ok(Self { path, _lock: file })
    }

    /// The file, after symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the new content to a temporary file beside it, with the same owner and
    /// permissions; mode 0600 if there is no file yet. The file itself is unchanged.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn prepare(&self, text: &str) -> Result<Replacement<'_>, FileError> {
        let new = self.try_prepare(text);
        let new = new.map_err(FileError::of("write", &self.path))?;
        Ok(Replacement { file: self, new })
    }

    fn try_prepare(&self, text: &str) -> io::Result<NamedTempFile> {
        // Created with mode 0600.
        let mut new = NamedTempFile::new_in(directory(&self.path))?;
        new.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(&self.path) {
            let own = new.as_file().metadata()?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
            }
            let permissions = fs::Permissions::from_mode(old.mode() & 0o7777);
            new.as_file().set_permissions(permissions)?;
        }
        new.as_file().sync_all()?;
        Ok(new)
    }
}

/// New content of a file, on the disk and not yet in its place.
#[derive(Debug)]
pub struct Replacement<'a> {
    file: &'a Locked,
    new: NamedTempFile,
}

impl Replacement<'_> {
    /// Replaces the file, or creates it. After a crash of the machine, the old content or the
    /// new one is there.
    ///
    /// # Errors
    /// If it cannot be replaced.
    pub fn publish(self) -> Result<(), FileError> {
        let path = &self.file.path;
        let persisted = self.new.persist(path).map_err(|failed| failed.error);
        let written = persisted.and_then(|_| sync_directory(path));
        written.map_err(FileError::of("write", path))
    }

    /// Creates the file, unless it exists.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if it does, or if it cannot be created.
    pub fn create(self) -> Result<(), FileError> {
        let path = &self.file.path;
        let persisted = self.new.persist_noclobber(path);
        let persisted = persisted.map_err(|failed| failed.error);
        let written = persisted.and_then(|_| sync_directory(path));
        written.map_err(FileError::of("write", path))
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
