//! The two generic forms: records of collections, and due work.

use std::{fmt, time::SystemTime};

use bytes::Bytes;

use crate::{domain::FencingToken, store::Record};

use super::{
    CodecError, Kind, Stored,
    messages::{self, record},
    primitives::{time_from_nanos, time_to_nanos},
};

#[derive(Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub collection: String,
    /// Unique within the collection.
    pub key: String,
    /// The project that owns it; empty for none.
    pub project: String,
    /// 1 for a new record; increases by one with every change.
    pub version: i64,
    /// When the record may be removed; `None` for never.
    pub expires: Option<SystemTime>,
    /// The value, in a form that the collection defines.
    pub body: Bytes,
    /// Names and values of its secondary indexes.
    pub indexes: Vec<(String, String)>,
    /// The principal that had it stored; empty for the service itself.
    pub principal: String,
}

impl StoredRecord {
    /// A record of a collection, as it is stored.
    pub fn of(collection: &str, record: &Record) -> Self {
        let Record {
            key,
            project,
            principal,
            version,
            body,
            expires,
            indexes,
        } = record.clone();
        let index = |(name, value): (&str, String)| (name.to_owned(), value);
        Self {
            collection: collection.to_owned(),
            key,
            project,
            principal,
            version: i64::try_from(version).unwrap_or(i64::MAX),
            expires,
            body,
            indexes: indexes.into_iter().map(index).collect(),
        }
    }

    /// The collection and the record. `name` is the name of an index in the program.
    pub fn into_record(self, name: fn(String) -> &'static str) -> (String, Record) {
        let Self {
            collection,
            key,
            project,
            principal,
            version,
            expires,
            body,
            indexes,
        } = self;
        let index = |(index, value)| (name(index), value);
        let record = Record {
            key,
            project,
            principal,
            version: u64::try_from(version).unwrap_or(0),
            body,
            expires,
            indexes: indexes.into_iter().map(index).collect(),
        };
        (collection, record)
    }
}

/// Work that is due at a time.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDue {
    pub kind: String,
    /// When it is due, or is retried.
    pub at: SystemTime,
    /// Unique within the kind.
    pub key: String,
    /// The worker that claimed it; empty if it is not claimed.
    pub owner: String,
    /// When the claim expires.
    pub lease_until: Option<SystemTime>,
    /// Increases with every claim, so that a late owner cannot settle the claim of
    /// another.
    pub token: FencingToken,
    pub attempts: u32,
    /// Rows with the same order key are done one after the other; empty for any order.
    pub order_key: String,
    /// What to do, in a form that the kind defines.
    pub body: Bytes,
    /// Its position among the rows of its order key; retries do not move it. `None`:
    /// `at`.
    pub first_at: Option<SystemTime>,
}

/// Shows the length of the body instead of the body, which may contain secrets.
impl fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            collection,
            key,
            project,
            version,
            expires,
            body,
            indexes,
            principal,
        } = self;
        f.debug_struct("StoredRecord")
            .field("collection", collection)
            .field("key", key)
            .field("project", project)
            .field("version", version)
            .field("expires", expires)
            .field("body", &body.len())
            .field("indexes", indexes)
            .field("principal", principal)
            .finish()
    }
}

/// Shows the length of the body instead of the body, which may contain secrets.
impl fmt::Debug for StoredDue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            at,
            key,
            owner,
            lease_until,
            token,
            attempts,
            order_key,
            body,
            first_at,
        } = self;
        f.debug_struct("StoredDue")
            .field("kind", kind)
            .field("at", at)
            .field("key", key)
            .field("owner", owner)
            .field("lease_until", lease_until)
            .field("token", token)
            .field("attempts", attempts)
            .field("order_key", order_key)
            .field("body", &body.len())
            .field("first_at", first_at)
            .finish()
    }
}

impl Stored for StoredRecord {
    const KIND: Kind = Kind::Record;
    type Message = messages::Record;

    fn to_message(&self) -> Self::Message {
        let Self {
            collection,
            key,
            project,
            version,
            expires,
            body,
            indexes,
            principal,
        } = self.clone();
        let index = |(name, value)| record::Index { name, value };
        messages::Record {
            collection,
            key,
            project,
            version,
            expires: expires.map(time_to_nanos),
            body,
            indexes: indexes.into_iter().map(index).collect(),
            principal,
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::Record {
            collection,
            key,
            project,
            version,
            expires,
            body,
            indexes,
            principal,
        } = message;
        let index = |index: record::Index| (index.name, index.value);
        Ok(Self {
            collection,
            key,
            project,
            version,
            expires: expires.map(time_from_nanos),
            body,
            indexes: indexes.into_iter().map(index).collect(),
            principal,
        })
    }
}

impl Stored for StoredDue {
    const KIND: Kind = Kind::DueRow;
    type Message = messages::DueRow;

    fn to_message(&self) -> Self::Message {
        let Self {
            kind,
            at,
            key,
            owner,
            lease_until,
            token,
            attempts,
            order_key,
            body,
            first_at,
        } = self.clone();
        messages::DueRow {
            kind,
            at: time_to_nanos(at),
            key,
            owner,
            lease_until: lease_until.map(time_to_nanos),
            token: token.0,
            attempts,
            order_key,
            body,
            first_at: first_at.map(time_to_nanos),
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::DueRow {
            kind,
            at,
            key,
            owner,
            lease_until,
            token,
            attempts,
            order_key,
            body,
            first_at,
        } = message;
        Ok(Self {
            kind,
            at: time_from_nanos(at),
            key,
            owner,
            lease_until: lease_until.map(time_from_nanos),
            token: FencingToken(token),
            attempts,
            order_key,
            body,
            first_at: first_at.map(time_from_nanos),
        })
    }
}
