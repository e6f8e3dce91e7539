mod files;
mod journal;
mod secrets;
mod unloaded;

use std::{path::Path, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::store::{DurableStore, Keyring, Store, conformance::Factory};

use super::Options;

crate::store::conformance::suite!(SqliteFactory::default());

/// Reopens the directory of the store that was opened last.
#[derive(Default)]
struct SqliteFactory(Mutex<Option<(TempDir, Arc<DurableStore>)>>);

impl SqliteFactory {
    fn open(&self, directory: TempDir) -> Arc<dyn Store> {
        let (store, _) = DurableStore::open_directory(&options(directory.path())).unwrap();
        let store = Arc::new(store);
        *self.0.lock() = Some((directory, Arc::clone(&store)));
        store
    }
}

#[async_trait]
impl Factory for SqliteFactory {
    async fn open(&self) -> Arc<dyn Store> {
        self.open(TempDir::new().unwrap())
    }

    async fn reopen(&self, _: Arc<dyn Store>) -> Arc<dyn Store> {
        let last = self.0.lock().take();
        let (directory, store) = last.expect("a store is open");
        store.close();
        self.open(directory)
    }
}

fn keyring() -> Arc<Keyring> {
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    Arc::new(Keyring::parse(KEY).unwrap())
}

/// All jobs are loaded, however long ago they ended.
fn options(directory: &Path) -> Options {
    Options {
        directory: directory.to_owned(),
        now: SystemTime::UNIX_EPOCH,
        loaded_since: SystemTime::UNIX_EPOCH,
        keyring: Some(keyring()),
    }
}
