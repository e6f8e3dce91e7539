use std::{marker::PhantomData, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Store, StoreError, Write};

/// Typed records with a version and secondary indexes, for everything that is
/// neither a pipeline nor a stream of events. Each backend has one implementation
/// for all of them.
#[async_trait]
pub trait RecordStore {
    /// A record. An expired one stays until
    /// [`remove_expired_records`](Self::remove_expired_records).
    async fn record(
        &self,
        collection: &'static str,
        key: &str,
    ) -> Result<Option<Record>, StoreError>;

    /// The version of a record; 0 if the record does not exist.
    async fn record_version(&self, collection: &'static str, key: &str) -> Result<u64, StoreError>;

    /// Records of a collection, in the order that the query names; expired ones as
    /// above.
    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, StoreError>;

    /// Removes expired records and returns how many. The subscriber is notified of the
    /// collections.
    async fn remove_expired_records(&self, now: SystemTime) -> Result<usize, StoreError>;
}

/// A record as a backend stores it. The backend does not decode the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Unique within the collection.
    pub key: String,
    /// The project that it belongs to; empty for none.
    pub project: String,
    /// The principal that had it stored; empty for the service itself.
    pub principal: String,
    /// 1 for a new record; increases by one with every change.
    pub version: u64,
    pub body: Bytes,
    pub expires: Option<SystemTime>,
    /// Names and values of its secondary indexes; a record may have several values in
    /// one.
    pub indexes: Vec<(&'static str, String)>,
}

/// Which records to list.
#[derive(Clone, Debug, Default)]
pub struct RecordQuery {
    pub collection: &'static str,
    /// By this index, in the order of (value, key); by key alone if `None`.
    pub index: Option<&'static str>,
    /// Only with this value in the index, or with this key if there is no index.
    pub equals: Option<String>,
    pub project: Option<String>,
    /// Only behind this (value, key) in the order; the value is empty if there is no
    /// index.
    pub after: Option<(String, String)>,
    /// The greatest first; `after` then means further down.
    pub is_descending: bool,
    pub limit: usize,
}

#[derive(Clone, Debug)]
pub enum RecordWrite {
    /// Creates or replaces it. The record carries its new version: a conflict unless
    /// the stored version is one less. 1 means that it does not exist yet.
    Put(&'static str, Record),
    /// Removes the record of this collection and key, if it has this version.
    Delete(&'static str, String, u64),
}

impl RecordWrite {
    pub fn collection(&self) -> &'static str {
        match self {
            Self::Put(collection, _) | Self::Delete(collection, ..) => collection,
        }
    }

    pub fn key(&self) -> &str {
        match self {
            Self::Put(_, record) => &record.key,
            Self::Delete(_, key, _) => key,
        }
    }
}

/// The encoding, keys and indexes of a collection. A new collection needs no code
/// in a backend.
pub trait Collection: Send + Sync + 'static {
    type Value: Send + Sync;
    /// Unique among all collections.
    const NAME: &'static str;

    fn encode(value: &Self::Value) -> Bytes;

    /// Decodes a value.
    ///
    /// # Errors
    /// If the stored form is damaged, or newer than this program.
    fn decode(body: &[u8]) -> Result<Self::Value, StoreError>;

    /// Unique within the collection.
    fn key(value: &Self::Value) -> String;

    /// The project that it belongs to; empty for none.
    fn project(value: &Self::Value) -> String;

    /// The principal that had it stored; empty for the service itself.
    fn principal(value: &Self::Value) -> String {
        let _ = value;
        String::new()
    }

    /// Names and values of its secondary indexes.
    fn indexes(value: &Self::Value) -> Vec<(&'static str, String)> {
        let _ = value;
        Vec::new()
    }

    fn expires(value: &Self::Value) -> Option<SystemTime> {
        let _ = value;
        None
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    pub value: T,
    /// Starts at 1.
    pub version: u64,
}

/// The records of one collection.
pub struct Records<C> {
    store: Arc<dyn Store>,
    collection: PhantomData<C>,
}

impl<C: Collection> Records<C> {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            collection: PhantomData,
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// If the store fails, or the stored form cannot be read.
    pub async fn get(&self, key: &str) -> Result<Option<Versioned<C::Value>>, StoreError> {
        let record = self.store.record(C::NAME, key).await?;
        record.map(Self::read).transpose()
    }

    /// The values that a query finds. Its collection is set here.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn list(&self, query: RecordQuery) -> Result<Vec<Versioned<C::Value>>, StoreError> {
        let query = RecordQuery {
            collection: C::NAME,
            ..query
        };
        let records = self.store.records(&query).await?;
        records.into_iter().map(Self::read).collect()
    }

    /// The write that creates or replaces a value whose version was `expected`; 0 for a
    /// new one.
    pub fn put(value: &C::Value, expected: u64) -> Write {
        let record = Record {
            key: C::key(value),
            project: C::project(value),
            principal: C::principal(value),
            version: expected + 1,
            body: C::encode(value),
            expires: C::expires(value),
            indexes: C::indexes(value),
        };
        Write::Record(RecordWrite::Put(C::NAME, record))
    }

    /// The write that removes a value whose version was `expected`.
    pub fn delete(key: impl Into<String>, expected: u64) -> Write {
        Write::Record(RecordWrite::Delete(C::NAME, key.into(), expected))
    }

    fn read(record: Record) -> Result<Versioned<C::Value>, StoreError> {
        Ok(Versioned {
            value: C::decode(&record.body)?,
            version: record.version,
        })
    }
}
