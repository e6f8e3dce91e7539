//! Where the service keeps what it stores.

use std::{env, path::PathBuf, sync::Arc, time::Instant};

use secrecy::ExposeSecret;
use tokio::task::spawn_blocking;

use crate::{
    blobs::logs::{Durability, FileLogs, LogLimits},
    config::{Config, EncryptionKeys},
    engine::{Clock, LOADED_FOR},
    scratch::{self, Temporary},
    store::{DirectoryOptions, DurableStore, KeyFile, Keyring, MemoryStore, Store},
};

use super::{ServeError, unusable};

/// Stage logs in the data directory.
const LOGS: &str = "logs";

/// The store and the logs.
pub(super) struct Storage {
    pub(super) store: Arc<dyn Store>,
    pub(super) logs: Arc<FileLogs>,
    durable: Option<Arc<DurableStore>>,
    /// Removed when the service has ended.
    _temporary: Option<Temporary>,
}

impl Storage {
    /// Opens the data directory, if the settings have one.
    pub(super) async fn open(config: &Config, clock: &dyn Clock) -> Result<Self, ServeError> {
        let limits = LogLimits {
            of_a_log: config.max_stage_log,
            in_total: config.max_log_total,
        };
        let (log_dir, temporary) = log_directory(config)?;
        let Some(directory) = &config.data_dir else {
            // The store ends with the process, so its logs need not outlive it.
            let logs = open_logs(log_dir, limits, Durability::Process)?;
            tracing::info!(
                "everything is in memory and ends with this process; set data_dir to keep it"
            );
            return Ok(Self {
                store: Arc::new(MemoryStore::default()),
                logs,
                durable: None,
                _temporary: temporary,
            });
        };
        let began = Instant::now();
        let now = clock.now();
        let options = DirectoryOptions {
            directory: directory.clone(),
            now,
            loaded_since: now.checked_sub(LOADED_FOR).unwrap_or(now),
            keyring: keyring(config)?.map(Arc::new),
        };
        let (store, opened) = DurableStore::open_directory(&options)?;
        let logs = open_logs(log_dir, limits, Durability::Disk)?;
        tracing::info!(
            data_dir = %directory.display(),
            format = opened.format,
            active_jobs = opened.active_jobs,
            ended_jobs = opened.ended_jobs,
            recovery_ms = began.elapsed().as_millis(),
            "opened the data directory"
        );
        let store = Arc::new(store);
        Ok(Self {
            store: Arc::clone(&store) as _,
            logs,
            durable: Some(store),
            _temporary: temporary,
        })
    }

    /// Resolves when a write has failed for good: nothing is acknowledged any more, and only
    /// the next start finds out what is on the disk.
    pub(super) async fn failed(&self) {
        match &self.durable {
            Some(store) => store.failed().await,
            None => std::future::pending().await,
        }
    }

    /// Writes what is not written yet, and unlocks the data directory.
    pub(super) async fn close(self) {
        if let Some(store) = self.durable {
            // A panic in it would have been reported by the panic itself.
            let _ = spawn_blocking(move || store.close()).await;
        }
    }
}

/// The keys that encrypt secrets, if the settings have any.
pub(super) fn keyring(config: &Config) -> Result<Option<Keyring>, ServeError> {
    Ok(match &config.encryption_keys {
        None => None,
        Some(EncryptionKeys::File(path)) => Some(KeyFile::new(path.clone()).read()?),
        Some(EncryptionKeys::Text(text)) => Some(Keyring::parse(text.expose_secret())?),
    })
}

fn open_logs(
    directory: PathBuf,
    limits: LogLimits,
    durability: Durability,
) -> Result<Arc<FileLogs>, ServeError> {
    let logs = FileLogs::open(directory.clone(), limits, durability);
    Ok(Arc::new(
        logs.map_err(unusable("log directory", &directory))?,
    ))
}

fn log_directory(config: &Config) -> Result<(PathBuf, Option<Temporary>), ServeError> {
    if let Some(directory) = &config.log_dir {
        return Ok((directory.clone(), None));
    }
    if let Some(directory) = &config.data_dir {
        return Ok((directory.join(LOGS), None));
    }
    let parent = env::temp_dir();
    let temporary =
        Temporary::create(&parent).map_err(unusable("temporary directory (TMPDIR)", &parent))?;
    let logs = temporary.path().join(LOGS);
    spawn_blocking(move || scratch::sweep(&parent));
    Ok((logs, Some(temporary)))
}
