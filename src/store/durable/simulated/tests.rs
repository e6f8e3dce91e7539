use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::store::{DurableStore, Store, conformance::Factory};

use super::SimulatedDisk;

crate::store::conformance::suite!(SimulatedFactory::default());

/// Reopens the disk of the store that was opened last.
#[derive(Default)]
struct SimulatedFactory(Mutex<Option<Open>>);

struct Open {
    disk: Arc<SimulatedDisk>,
    store: Arc<DurableStore>,
    writer: JoinHandle<()>,
}

impl SimulatedFactory {
    fn open(&self, disk: Arc<SimulatedDisk>) -> Arc<dyn Store> {
        let (store, writer) = DurableStore::simulated(&disk).unwrap();
        let store = Arc::new(store);
        *self.0.lock() = Some(Open {
            disk,
            store: Arc::clone(&store),
            writer,
        });
        store
    }
}

#[async_trait]
impl Factory for SimulatedFactory {
    async fn open(&self) -> Arc<dyn Store> {
        self.open(SimulatedDisk::new(SystemTime::UNIX_EPOCH, None))
    }

    async fn reopen(&self, _: Arc<dyn Store>) -> Arc<dyn Store> {
        let last = self.0.lock().take().expect("a store is open");
        last.store.close();
        last.writer.await.unwrap();
        self.open(last.disk)
    }
}
