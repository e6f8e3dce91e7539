use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use super::CredentialsError;
use crate::auth::{FileIdentity, Readers, check_private};

/// Suffices for more than a hundred thousand entries.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Reads the file, unless other users can read it.
pub(super) fn read(path: &Path) -> Result<(String, FileIdentity), CredentialsError> {
    let mut file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CredentialsError::Missing {
            path: path.to_owned(),
        },
        _ => cannot("read", path)(source),
    })?;
    // Metadata of the open file: another one may have its name by now.
    let about = file.metadata().map_err(cannot("read", path))?;
    check_private(path, &about, Readers::Group)?;
    let mut text = String::new();
    let read = if about.size() > MOST_BYTES {
        Err(io::Error::other("it has more than 64 MiB"))
    } else {
        file.read_to_string(&mut text)
    };
    read.map_err(cannot("read", path))?;
    Ok((text, FileIdentity::of(&about)))
}

/// A file that is locked against concurrent changes.
pub(super) struct Locked {
    path: PathBuf,
    _lock: File,
}

impl Locked {
    /// Waits until no other process changes the file. The lock is a file beside it,
    /// because the file itself is replaced by each change.
    pub(super) fn lock(path: &Path) -> Result<Self, CredentialsError> {
        // A symbolic link is preserved.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let directory = directory(&path);
        let mut make = DirBuilder::new();
        let made = make.recursive(true).mode(0o700).create(directory);
        made.map_err(cannot("make the directory", directory))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let lock = path.with_file_name(name);
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).mode(0o600).open(&lock);
        let file = opened.map_err(cannot("lock", &lock))?;
        file.lock().map_err(cannot("lock", &lock))?;
        Ok(Self { path, _lock: file })
    }

    /// Empty if it does not exist yet.
    pub(super) fn read(&self) -> Result<String, CredentialsError> {
        match read(&self.path) {
            Ok((text, _)) => Ok(text),
            Err(CredentialsError::Missing { .. }) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file by another one with the same owner and permissions.
    pub(super) fn write(&self, text: &str) -> Result<(), CredentialsError> {
        self.try_write(text).map_err(cannot("write", &self.path))
    }

    fn try_write(&self, text: &str) -> io::Result<()> {
        let directory = directory(&self.path);
        // Created with mode 0600.
        let mut new = tempfile::NamedTempFile::new_in(directory)?;
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
        new.persist(&self.path)?;
        File::open(directory)?.sync_all()
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn cannot(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CredentialsError {
    let path = path.to_owned();
    move |source| CredentialsError::Io { what, path, source }
}
