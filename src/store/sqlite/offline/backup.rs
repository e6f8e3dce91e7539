//! A backup is a directory: a copy of the database, the logs, and a manifest with the size and
//! the SHA-256 of each file. It has no encryption key.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::codec::{StoredInstance, decode, encode};

use super::super::{DATABASE, Directory, OpenError, hex, migrate};

const MANIFEST: &str = "manifest.json";
/// The logs, in the data directory and in a backup.
const LOGS: &str = "logs";
/// The version of the manifest's form.
const FORMAT: u32 = 1;
/// By how much tokens increase in a restored store: none that the original issued after the
/// backup is issued again.
const TOKENS: i64 = 1 << 20;

/// What a backup has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the manifest's form.
    pub format: u32,
    /// The version of Pipewright that made it.
    pub version: String,
    /// When it was made, in seconds since the epoch.
    pub time: u64,
    /// The files, by their paths in the backup.
    pub files: BTreeMap<String, FileEntry>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
}

/// Why a backup could not be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no data directory.
    #[error("{} is no data directory: it has no {DATABASE}", path.display())]
    NoDataDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A directory that is written to has something in it.
    #[error("{} is not empty: choose a directory that does not exist, or is empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// There is no complete backup.
    #[error("{} is no complete backup: it has no {MANIFEST}, which is written last", path.display())]
    NoBackup {
        /// The directory.
        path: PathBuf,
    },
    /// The manifest or a file is not as it was.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// A file cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Open(error.into())
    }
}

/// Makes a backup of a data directory into a directory that is empty or does not exist, also
/// while a service uses it: the state is that of one moment, and the logs have at least what
/// that state says.
///
/// # Errors
/// If a directory cannot be used.
pub fn back_up(
    data_dir: &Path,
    log_dir: Option<&Path>,
    to: &Path,
) -> Result<Manifest, BackupError> {
    let directory = Directory(data_dir.to_owned());
    if !directory.database().is_file() {
        return Err(BackupError::NoDataDirectory {
            path: data_dir.to_owned(),
        });
    }
    create_empty(to)?;
    let database = to.join(DATABASE);
    // Reads in one transaction, so that a service may write meanwhile.
    let connection = directory.connect_to_read()?;
    connection.execute("VACUUM INTO ?", [path_text(&database)?])?;
    drop(connection);
    let mut files = BTreeMap::new();
    make_private(&database)?;
    files.insert(DATABASE.to_owned(), hash(&database)?);
    let logs = log_dir.map_or_else(|| data_dir.join(LOGS), Path::to_owned);
    if logs.is_dir() {
        copy_tree(&logs, to, Path::new(LOGS), &mut files)?;
    }
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: time.unwrap_or_default().as_secs(),
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
    write_new(&to.join(MANIFEST), &mut &*text)?;
    sync_directory(to)?;
    Ok(manifest)
}

/// Restores a backup into a data directory that is empty or does not exist. Jobs continue where
/// they were. The restored store is another instance than the original one.
///
/// # Errors
/// If the backup is not complete and undamaged, or a directory cannot be used.
pub fn restore(from: &Path, data_dir: &Path) -> Result<Manifest, BackupError> {
    let manifest = read_manifest(from)?;
    create_empty(data_dir)?;
    for (name, entry) in &manifest.files {
        let relative = Path::new(name);
        let is_inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !is_inside {
            return Err(BackupError::Damaged(format!("{name} is outside of it")));
        }
        let to = data_dir.join(relative);
        if let Some(parent) = to.parent() {
            create_private(parent)?;
        }
        let source = from.join(relative);
        let mut file = File::open(&source).map_err(io_error(&source))?;
        let copied = write_new(&to, &mut file)?;
        if copied != *entry {
            return Err(BackupError::Damaged(format!(
                "{name} is not the file that was backed up"
            )));
        }
    }
    renew(&Directory(data_dir.to_owned()))?;
    sync_directory(data_dir)?;
    Ok(manifest)
}

/// Makes a restored store another instance, with higher tokens.
fn renew(directory: &Directory) -> Result<(), BackupError> {
    let _lock = directory.lock()?;
    let mut connection = directory.connect()?;
    migrate::migrate(&mut connection, SystemTime::now())?;
    let transaction = connection.transaction()?;
    let once = "SELECT value FROM once WHERE name = ?";
    let body: Vec<u8> = transaction.query_row(once, ["instance"], |row| row.get(0))?;
    let damaged = |error| BackupError::Damaged(format!("{error}"));
    let mut instance: StoredInstance = decode(&body).map_err(damaged)?;
    let token: Option<i64> = transaction
        .query_row(once, ["next_token"], |row| row.get(0))
        .optional()?;
    let claim: Option<i64> = transaction
        .query_row(once, ["last_claim"], |row| row.get(0))
        .optional()?;
    let token = token.unwrap_or(instance.next_token.0) + TOKENS;
    let claim = claim.unwrap_or(0) + TOKENS;
    instance.instance.id = uuid::Uuid::new_v4();
    let put = "INSERT OR REPLACE INTO once VALUES (?, ?)";
    transaction.execute(put, params!["instance", encode(&instance)])?;
    transaction.execute(put, params!["next_token", token])?;
    transaction.execute(put, params!["last_claim", claim])?;
    transaction.commit()?;
    Ok(())
}

fn read_manifest(from: &Path) -> Result<Manifest, BackupError> {
    let path = from.join(MANIFEST);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BackupError::NoBackup {
                path: from.to_owned(),
            });
        }
        text => text.map_err(io_error(&path))?,
    };
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| BackupError::Damaged(format!("{MANIFEST}: {error}")))?;
    if manifest.format > FORMAT {
        return Err(BackupError::Damaged(format!(
            "{MANIFEST} has the form {}, and this version knows forms up to {FORMAT}",
            manifest.format
        )));
    }
    if !manifest.files.contains_key(DATABASE) {
        return Err(BackupError::Damaged(format!("it has no {DATABASE}")));
    }
    Ok(manifest)
}

/// Copies what is there. Files that go meanwhile are those of jobs that are removed.
fn copy_tree(
    from: &Path,
    root: &Path,
    relative: &Path,
    files: &mut BTreeMap<String, FileEntry>,
) -> Result<(), BackupError> {
    create_private(&root.join(relative))?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io_error(from))?,
    };
    for entry in entries {
        let entry = entry.map_err(io_error(from))?;
        let path = entry.path();
        let name = relative.join(entry.file_name());
        let kind = entry.file_type().map_err(io_error(&path))?;
        if kind.is_dir() {
            copy_tree(&path, root, &name, files)?;
        } else if kind.is_file() && entry.file_name() != "lock" && entry.file_name() != ".lock" {
            let mut file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.map_err(io_error(&path))?,
            };
            let copied = write_new(&root.join(&name), &mut file)?;
            files.insert(path_text(&name)?.to_owned(), copied);
        }
    }
    Ok(())
}

/// Writes a private file to stable storage.
fn write_new(path: &Path, content: &mut dyn Read) -> Result<FileEntry, BackupError> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(io_error(path))?;
    let entry = digest(content, &mut file).map_err(io_error(path))?;
    file.sync_all().map_err(io_error(path))?;
    Ok(entry)
}

fn hash(path: &Path) -> Result<FileEntry, BackupError> {
    let mut file = File::open(path).map_err(io_error(path))?;
    let entry = digest(&mut file, &mut io::sink()).map_err(io_error(path))?;
    file.sync_all().map_err(io_error(path))?;
    Ok(entry)
}

fn digest(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<FileEntry> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        size += read as u64;
    }
    Ok(FileEntry {
        size,
        sha256: hex(&hasher.finalize()),
    })
}

fn create_empty(path: &Path) -> Result<(), BackupError> {
    create_private(path)?;
    let mut entries = fs::read_dir(path).map_err(io_error(path))?;
    if entries.next().is_some() {
        return Err(BackupError::NotEmpty {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn create_private(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error(path))
}

fn make_private(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(io_error(path))
}

fn sync_directory(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(io_error(path))
}

fn path_text(path: &Path) -> Result<&str, BackupError> {
    path.to_str().ok_or_else(|| BackupError::Io {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"),
    })
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}
