//! Files that hold secrets, and the identity of the file at a path.

mod locked;

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

pub use locked::{FileError, Locked, Replacement};

/// Who may read a file that holds a secret. Only its owner may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    Owner,
    /// The owner and the group, for a file of root that the group of a service reads.
    Group,
}

impl Readers {
    /// The permission bits that must not be set.
    fn forbidden(self) -> u32 {
        match self {
            Self::Owner => 0o077,
            Self::Group => 0o027,
        }
    }

    fn alternative(self) -> &'static str {
        match self {
            Self::Owner => "",
            Self::Group => " (or 640, to let its group read it)",
        }
    }
}

/// Why a file that holds a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// Others can read or change it.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The system refuses to read it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Others can read or change a file that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} has mode {mode:04o}, by which others can read or change it; run: chmod 600 {}{}",
    path.display(),
    path.display(),
    readers.alternative()
)]
pub struct Exposed {
    path: PathBuf,
    mode: u32,
    readers: Readers,
}

/// Opens a file that holds a secret, unless others can read or change it.
///
/// # Errors
/// If they can, or if it cannot be opened.
pub fn open_private(path: &Path, readers: Readers) -> Result<File, PrivateFileError> {
    let file = File::open(path)?;
    // Metadata of the open file: another one may have its name by now.
    check_private(path, &file.metadata()?, readers)?;
    Ok(file)
}

/// Refuses a file that others can read or change. Pipes are accepted: a shell can pass
/// a secret through one.
///
/// # Errors
/// If others can.
pub fn check_private(path: &Path, file: &Metadata, readers: Readers) -> Result<(), Exposed> {
    let mode = file.permissions().mode() & 0o7777;
    if !file.is_file() || mode & readers.forbidden() == 0 {
        return Ok(());
    }
    Err(Exposed {
        path: path.to_owned(),
        mode,
        readers,
    })
}

/// Identifies a file and its version, to detect changes: device, inode, size, time and permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity([i128; 6]);

impl FileIdentity {
    /// The file at a path; none if its metadata cannot be read.
    pub fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|file| Self::of(&file))
    }

    /// The identity in this metadata.
    pub fn of(file: &Metadata) -> Self {
        Self([
            file.dev().into(),
            file.ino().into(),
            file.size().into(),
            file.mtime().into(),
            file.mtime_nsec().into(),
            // A change of permissions counts as a change of the file.
            file.mode().into(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_file_that_others_can_read_or_change_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "secret").unwrap();
        let table = [
            (0o400, true, true),
            (0o600, true, true),
            (0o440, false, true),
            (0o640, false, true),
            (0o660, false, false),
            (0o604, false, false),
            (0o602, false, false),
            (0o644, false, false),
            (0o777, false, false),
        ];
        for (mode, by_owner, by_group) in table {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let metadata = fs::metadata(&path).unwrap();
            for (readers, is_private) in [(Readers::Owner, by_owner), (Readers::Group, by_group)] {
                let checked = check_private(&path, &metadata, readers);
                assert_eq!(checked.is_ok(), is_private, "{mode:04o} {readers:?}");
            }
        }
        let told = open_private(&path, Readers::Group).unwrap_err().to_string();
        let expected = format!(
            "{0} has mode 0777, by which others can read or change it; run: chmod 600 {0} (or \
             640, to let its group read it)",
            path.display()
        );
        assert_eq!(told, expected);
    }

    #[test]
    fn special_files_are_accepted() {
        let file = File::open("/dev/null").unwrap();
        check_private(
            Path::new("/dev/null"),
            &file.metadata().unwrap(),
            Readers::Owner,
        )
        .unwrap();
    }
}
