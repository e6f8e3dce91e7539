//! The two forms for what is not a job: records of collections, and work that is due.

use std::{fmt, time::SystemTime};

use bytes::Bytes;

use crate::domain::FencingToken;

use super::{
    CodecError, Kind, Stored, messages,
    primitives::{time_from_nanos, time_to_nanos},
};

/// A record of any collection.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Which collection.
    pub collection: String,
    /// Unique within the collection.
    pub key: String,
    /// The project that owns it; empty for none.
    pub project: String,
    /// 1 for a new record; goes up by one with every change.
    pub version: i64,
    /// When it may be forgotten; none for never.
    pub expires: Option<SystemTime>,
    /// Its value, in a form that the collection knows.
    pub body: Bytes,
}

/// Work that is due at a time.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDue {
    /// Which kind of work.
    pub kind: String,
    /// When it is due, or is tried again.
    pub at: SystemTime,
    /// Unique within the kind.
    pub key: String,
    /// Who has claimed it; empty for nobody.
    pub owner: String,
    /// Until when the claim holds.
    pub lease_until: Option<SystemTime>,
    /// Goes up with every claim, so that a late owner cannot end another's.
    pub token: FencingToken,
    /// How often it was tried.
    pub attempts: u32,
    /// Rows of one order key are done one after the other; empty for any order.
    pub order_key: String,
    /// What to do, in a form that the kind knows.
    pub body: Bytes,
}

/// Shows the length of the body and not the body, which may have secrets.
impl fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            collection,
            key,
            project,
            version,
            expires,
            body,
        } = self;
        f.debug_struct("StoredRecord")
            .field("collection", collection)
            .field("key", key)
            .field("project", project)
            .field("version", version)
            .field("expires", expires)
            .field("body", &body.len())
            .finish()
    }
}

/// Shows the length of the body and not the body, which may have secrets.
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
        } = self.clone();
        messages::Record {
            collection,
            key,
            project,
            version,
            expires: expires.map(time_to_nanos),
            body,
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
        } = message;
        Ok(Self {
            collection,
            key,
            project,
            version,
            expires: expires.map(time_from_nanos),
            body,
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
        })
    }
}
