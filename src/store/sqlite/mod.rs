//! A durable store in an SQLite database: `store.db` in the data directory.
//!
//! One connection writes, a few others read. The database is in WAL mode with `synchronous =
//! FULL`: a transaction is on stable storage when its COMMIT returns. Nothing of a value is
//! known to the database but the columns of its indexes; the bodies are stored forms.

mod archive;
mod error;
mod load;
mod migrate;
mod offline;
mod seals;
mod sink;
#[cfg(test)]
mod tests;

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OpenFlags};

use super::{DurableStore, Keyring};
use archive::{Counts, Readers};
use seals::Seals;
use sink::SqliteSink;

use migrate::hex;

pub use error::OpenError;
pub use offline::{
    BackupError, Checked, Manifest, RotateError, Rotated, back_up, check, restore, rotate,
};

/// The database in the data directory.
const DATABASE: &str = "store.db";
/// Locked while a process uses the data directory.
const LOCK: &str = "lock";
/// How long a reader waits for the database, which is locked only at the start of a WAL.
const BUSY: Duration = Duration::from_secs(5);

/// How to open a data directory.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory. It is created if it does not exist.
    pub directory: PathBuf,
    /// The current time, for a new store.
    pub now: SystemTime,
    /// Jobs that ended at this time or later are loaded into the memory.
    pub loaded_since: SystemTime,
    /// The keys that encrypt secrets. Without them no secret can be stored.
    pub keyring: Option<Arc<Keyring>>,
}

/// What was found in a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The number of the newest migration.
    pub format: u32,
    /// Jobs that have not ended.
    pub active_jobs: u64,
    /// Jobs that have ended.
    pub ended_jobs: u64,
}

/// The data directory of a service.
#[derive(Clone, Debug)]
struct Directory(PathBuf);

impl DurableStore {
    /// Opens the store of a data directory, and keeps other processes from it. To be called
    /// within a runtime.
    ///
    /// # Errors
    /// If the directory cannot be used, another process uses it, or its content is damaged or
    /// of a later version.
    pub fn open_directory(options: &Options) -> Result<(Self, Opened), OpenError> {
        let directory = Directory(options.directory.clone());
        let lock = directory.lock()?;
        let mut connection = directory.connect()?;
        let format = migrate::migrate(&mut connection, options.now)?;
        let seals = Seals(options.keyring.clone());
        check_keys(&connection, &seals)?;
        directory.sync_names()?;
        let counts = Arc::new(Counts::default());
        let sink = SqliteSink::new(
            connection,
            directory.clone(),
            seals.clone(),
            Arc::clone(&counts),
            lock,
        );
        check_in_background(directory.clone());
        let readers = Readers::open(directory, options.loaded_since, seals, counts)?;
        let (active_jobs, ended_jobs) = readers.count()?;
        let opened = Opened {
            format,
            active_jobs,
            ended_jobs,
        };
        let store = Self::open(Arc::new(readers), sink)?;
        Ok((store, opened))
    }
}

/// Looks for damage in the database while it is in use, and reports what it finds: reading all of
/// it may take long.
fn check_in_background(directory: Directory) {
    let check = move || match quick_check(&directory) {
        Ok(found) if found == "ok" => tracing::debug!("the database is not damaged"),
        Ok(found) => tracing::error!(
            problem = found,
            "the database is damaged: stop the service and restore a backup"
        ),
        Err(error) => tracing::warn!(%error, "the database could not be checked for damage"),
    };
    let thread = thread::Builder::new().name("store-check".to_owned());
    if let Err(error) = thread.spawn(check) {
        tracing::warn!(%error, "the database could not be checked for damage");
    }
}

/// The first problem, or `ok`.
fn quick_check(directory: &Directory) -> rusqlite::Result<String> {
    let connection = directory.connect_to_read()?;
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}

/// Refuses to start if there are secrets that could not be read.
fn check_keys(rows: &Connection, seals: &Seals) -> Result<(), OpenError> {
    let mut query = rows.prepare("SELECT DISTINCT encryption_key FROM data_key")?;
    let wanted = query.query_map([], |row| row.get::<_, String>(0))?;
    let known = seals.0.as_ref().map(|keyring| keyring.ids());
    for wanted in wanted {
        let wanted = wanted?;
        let Some(known) = &known else {
            return Err(OpenError::KeyRequired { wanted });
        };
        if !known.iter().any(|known| known.to_string() == wanted) {
            return Err(OpenError::OtherKey { wanted });
        }
    }
    Ok(())
}

impl Directory {
    /// Creates the directory if it does not exist, and locks it for as long as the file is open.
    fn lock(&self) -> Result<File, OpenError> {
        let path = &self.0;
        let unusable = |source: io::Error| OpenError::Directory {
            path: path.to_owned(),
            source,
        };
        create_durably(path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => {
                let path = path.to_owned();
                Err(OpenError::InUse { path })
            }
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Bytes of the write-ahead log; 0 if it does not exist.
    fn wal_size(&self) -> u64 {
        let wal = self.0.join(format!("{DATABASE}-wal"));
        wal.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Makes the names of the files in it durable; SQLite does so only for those that it creates.
    fn sync_names(&self) -> Result<(), OpenError> {
        sync(&self.0).map_err(|source| OpenError::Directory {
            path: self.0.clone(),
            source,
        })
    }

    fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    /// The connection that writes.
    fn connect(&self) -> Result<Connection, OpenError> {
        let path = self.database();
        if !path.exists() {
            // With the permissions that its WAL gets, too.
            let created = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path);
            created.map_err(|source| OpenError::Directory {
                path: path.clone(),
                source,
            })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = OFF;
             PRAGMA trusted_schema = OFF;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -8192;
             PRAGMA journal_size_limit = 67108864;",
        )?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    /// A connection that only reads.
    fn connect_to_read(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.database(), flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cache_size = -4096;")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    /// Bytes of the file system that are free for this process; `None` if it does not say.
    fn free_space(&self) -> Option<u64> {
        let found = nix::sys::statvfs::statvfs(&self.0).ok()?;
        let blocks: u64 = found.blocks_available();
        Some(blocks.saturating_mul(found.fragment_size()))
    }
}

/// Creates a directory and the missing ones above it. A loss of power does not undo that: it
/// would take with it all that is synced inside.
fn create_durably(path: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = Vec::new();
    for directory in path.ancestors() {
        if directory.as_os_str().is_empty() || directory.exists() {
            break;
        }
        missing.push(directory);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for created in &missing {
        sync_name(created)?;
    }
    if missing.is_empty() {
        // An earlier start may have been killed between the two. A process that cannot open the
        // directory above has not created this one.
        let _ = sync_name(path);
    }
    Ok(())
}

fn sync_name(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
