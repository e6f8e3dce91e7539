use std::sync::Arc;

use async_trait::async_trait;

use crate::store::{Store, conformance::Factory};

use super::MemoryStore;

crate::store::conformance::suite!(MemoryFactory::default());

/// Reopens a store by way of its snapshot, which stands for what is on a disk.
#[derive(Default)]
struct MemoryFactory(parking_lot::Mutex<Option<Arc<MemoryStore>>>);

#[async_trait]
impl Factory for MemoryFactory {
    async fn open(&self) -> Arc<dyn Store> {
        let store = Arc::new(MemoryStore::default());
        *self.0.lock() = Some(Arc::clone(&store));
        store
    }

    async fn reopen(&self, _: Arc<dyn Store>) -> Arc<dyn Store> {
        let mut last = self.0.lock();
        let snapshot = last.as_ref().expect("a store is open").snapshot();
        let store = MemoryStore::restore(&snapshot).expect("its own rows can be read");
        let store = Arc::new(store);
        *last = Some(Arc::clone(&store));
        store
    }
}
