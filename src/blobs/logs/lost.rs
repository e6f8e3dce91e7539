//! Why bytes of a log could not be stored.

use std::{io, path::Path};

use super::disk::Disk;

/// Bytes of a log that have become a gap, as they could not be stored or were lost.
#[derive(Debug)]
pub struct Lost {
    /// Their number; 0 if it is only uncertain whether they are on stable storage.
    pub bytes: u64,
    pub fault: StorageFault,
    /// The first error.
    pub error: io::Error,
}

/// What is wrong with the storage of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageFault {
    /// No space is left, or a quota is used up.
    Full,
    /// No inode is left: there are too many files.
    NoInodes,
    /// The directory or a file in it was removed, cut or replaced.
    Gone,
    /// It cannot be written to.
    ReadOnly,
    /// The service is not allowed to write to it.
    Denied,
    Io,
}

impl StorageFault {
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::NoInodes,
        Self::Gone,
        Self::ReadOnly,
        Self::Denied,
        Self::Io,
    ];

    /// Its name, as a label of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "storage_full",
            Self::NoInodes => "no_inodes",
            Self::Gone => "removed",
            Self::ReadOnly => "read_only",
            Self::Denied => "permission_denied",
            Self::Io => "io_error",
        }
    }

    fn of(error: &io::Error, disk: &dyn Disk, path: &Path) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            // Both cases have the same error code.
            Kind::StorageFull if disk.is_out_of_inodes(path) => Self::NoInodes,
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::Full,
            Kind::NotFound
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::StaleNetworkFileHandle
            | Kind::UnexpectedEof => Self::Gone,
            Kind::ReadOnlyFilesystem => Self::ReadOnly,
            Kind::PermissionDenied => Self::Denied,
            _ => Self::Io,
        }
    }
}

/// The losses so far in one step of a writer.
#[derive(Debug, Default)]
pub(super) struct Losses(Option<Lost>);

impl Losses {
    /// Adds bytes that were lost by an error at a path.
    pub(super) fn add(&mut self, bytes: u64, error: io::Error, disk: &dyn Disk, path: &Path) {
        match &mut self.0 {
            Some(lost) => lost.bytes += bytes,
            none => {
                let fault = StorageFault::of(&error, disk, path);
                *none = Some(Lost {
                    bytes,
                    fault,
                    error,
                });
            }
        }
    }

    pub(super) fn into_lost(self) -> Option<Lost> {
        self.0
    }
}
