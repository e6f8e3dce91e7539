use std::{marker::PhantomData, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Store, StoreError, Write};

/// Typed records with a version and secondary indexes, for whatever is neither a pipeline
/// nor a stream of events: one implementation in each backend for all of them.
#[async_trait]
pub trait RecordStore {
    /// A record. One that has expired is there until
    /// [`remove_expired_records`](Self::remove_expired_records).
    async fn record(
        &self,
        collection: &'static str,
        key: &str,
    ) -> Result<Option<Record>, StoreError>;

    /// The version of a record, without the record; 0 if there is none.
    async fn record_version(&self, collection: &'static str, key: &str) -> Result<u64, StoreError>;

    /// Records of a collection, in the order that the query names; expired ones as above.
    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, StoreError>;

    /// Removes records whose time has come. Answers how many. The feed learns of the
    /// collections.
    async fn remove_expired_records(&self, now: SystemTime) -> Result<usize, StoreError>;
}

/// A record as a backend keeps it: it does not look inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Unique within the collection.
    pub key: String,
    /// The project that it belongs to; empty for none.
    pub project: String,
    /// 1 for a new record, then up by one with every change.
    pub version: u64,
    /// The encoded value.
    pub body: Bytes,
    /// When it goes by itself.
    pub expires: Option<SystemTime>,
    /// Names and values of its secondary indexes; a record may have several values in one.
    pub indexes: Vec<(&'static str, String)>,
}

/// Which records to list.
#[derive(Clone, Debug, Default)]
pub struct RecordQuery {
    /// Name of the collection.
    pub collection: &'static str,
    /// By this index, in the order of (value, key); by key alone when none.
    pub index: Option<&'static str>,
    /// Only with this value in the index; of the key, when there is no index.
    pub equals: Option<String>,
    /// Only of this project.
    pub project: Option<String>,
    /// Only behind this (value, key) in the order; the value is empty when there is no index.
    pub after: Option<(String, String)>,
    /// The greatest first; `after` then means further down.
    pub is_descending: bool,
    /// At most so many.
    pub limit: usize,
}

/// A change of a record.
#[derive(Clone, Debug)]
pub enum RecordWrite {
    /// Makes or replaces it. The version in the record is the one that it has from now on:
    /// a conflict unless the stored one is one less, and 1 means that there is none.
    Put(&'static str, Record),
    /// Removes the record of this collection and key, if it has this version.
    Delete(&'static str, String, u64),
}

impl RecordWrite {
    /// Name of the collection.
    pub fn collection(&self) -> &'static str {
        match self {
            Self::Put(collection, _) | Self::Delete(collection, ..) => collection,
        }
    }

    /// Key of the record.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(_, record) => &record.key,
            Self::Delete(_, key, _) => key,
        }
    }
}

/// What a collection keeps, and how: a new one costs this and nothing in a backend.
pub trait Collection: Send + Sync + 'static {
    /// What is kept.
    type Value: Send + Sync;
    /// Unique among all collections.
    const NAME: &'static str;

    /// The stored form of a value.
    fn encode(value: &Self::Value) -> Bytes;

    /// The value of a stored form.
    ///
    /// # Errors
    /// If the form is damaged, or newer than this program.
    fn decode(body: &[u8]) -> Result<Self::Value, StoreError>;

    /// Unique within the collection.
    fn key(value: &Self::Value) -> String;

    /// The project that it belongs to; empty for none.
    fn project(value: &Self::Value) -> String;

    /// Names and values of its secondary indexes.
    fn indexes(value: &Self::Value) -> Vec<(&'static str, String)> {
        let _ = value;
        Vec::new()
    }

    /// When it goes by itself.
    fn expires(value: &Self::Value) -> Option<SystemTime> {
        let _ = value;
        None
    }
}

/// A value with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its version, from 1.
    pub version: u64,
}

/// The records of one collection.
pub struct Records<C> {
    store: Arc<dyn Store>,
    collection: PhantomData<C>,
}

impl<C: Collection> Records<C> {
    /// The collection in a store.
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

    /// The write that makes or replaces a value, which had this version; 0 for a new one.
    pub fn put(value: &C::Value, expected: u64) -> Write {
        let record = Record {
            key: C::key(value),
            project: C::project(value),
            version: expected + 1,
            body: C::encode(value),
            expires: C::expires(value),
            indexes: C::indexes(value),
        };
        Write::Record(RecordWrite::Put(C::NAME, record))
    }

    /// The write that removes a value that had this version.
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
