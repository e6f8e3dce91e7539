//! The file system calls of logs; a disk may refuse each of them.

use std::{
    fmt::Debug,
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt},
    path::Path,
};

use nix::sys::statvfs::statvfs;

/// A disk. Tests use one that fails.
pub(super) trait Disk: Send + Sync + Debug {
    /// Opens a file, or creates it.
    fn open(&self, options: &OpenOptions, path: &Path) -> io::Result<File> {
        options.open(path)
    }

    /// Creates a directory and its parents, for this user only.
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    /// Writes as much as fits.
    fn write_at(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<usize> {
        file.write_at(bytes, position)
    }

    /// Syncs a file to stable storage.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Whether the file system of a path has no inode left. Some have no fixed number.
    fn is_out_of_inodes(&self, path: &Path) -> bool {
        let existing = path.ancestors().find(|parent| parent.exists());
        let known = existing.and_then(|path| statvfs(path).ok());
        known.is_some_and(|known| known.files() > 0 && known.files_available() == 0)
    }
}

#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {}

/// Writes all bytes, or as many as fit. Returns their number and, if some are missing, why.
pub(super) fn write_all_at(
    disk: &dyn Disk,
    file: &File,
    bytes: &[u8],
    position: u64,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match disk.write_at(file, &bytes[written..], position + written as u64) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
