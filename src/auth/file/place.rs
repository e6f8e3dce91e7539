use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::CredentialsError;
use crate::private_file::{FileError, FileIdentity, Readers, check_private};

/// Suffices for more than a hundred thousand entries.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Reads the file, unless other users can read it.
pub(super) fn read(path: &Path) -> Result<(String, FileIdentity), CredentialsError> {
    let cannot_read = || FileError::of("read", path);
    let mut file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CredentialsError::Missing {
            path: path.to_owned(),
        },
        _ => cannot_read()(source).into(),
    })?;
    // Metadata of the open file: another one may have its name by now.
    let about = file.metadata().map_err(cannot_read())?;
    check_private(path, &about, Readers::Group)?;
    let mut text = String::new();
    let read = if about.size() > MOST_BYTES {
        Err(io::Error::other("it has more than 64 MiB"))
    } else {
        file.read_to_string(&mut text)
    };
    read.map_err(cannot_read())?;
    Ok((text, FileIdentity::of(&about)))
}

/// Empty if it does not exist yet.
pub(super) fn read_or_empty(path: &Path) -> Result<String, CredentialsError> {
    match read(path) {
        Ok((text, _)) => Ok(text),
        Err(CredentialsError::Missing { .. }) => Ok(String::new()),
        Err(error) => Err(error),
    }
}
