//! The stored forms: every value that a store keeps as bytes, and how it is read again.
//!
//! A value is a message of the private package `pipewright.store.v1` in an envelope that says
//! which form it is, which version wrote it and which versions can read it. Forms are not API
//! types, because the two change for different reasons. Times are kept to the nanosecond, from
//! 1677 to 2262, so that a value that is read again equals the one that was written.
//!
//! `golden/` pins each form. A form may gain fields, which values that are stored already do not
//! have; it never loses one, and no field changes its meaning. Where an older program would
//! misread a new value, [`Kind::min_reader`] goes up with the change.

mod answer;
mod dispatch;
mod durations;
mod envelope;
mod error;
mod facts;
mod instance;
mod job;
mod lease;
mod origin;
mod pipeline;
mod primitives;
mod project;
mod record;
mod seal;
mod stage_run;
#[cfg(test)]
mod tests;

/// Generated from `proto/`. None of them has `Debug`, as some carry secrets.
pub(in crate::store) mod messages {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::unwrap_used,
        rustdoc::all
    )]
    include!(concat!(env!("OUT_DIR"), "/pipewright.store.v1.rs"));
}

use std::sync::Arc;

use crate::domain::{Pipeline, PipelineId};

pub use dispatch::StoredBinding;
pub use durations::StoredDurations;
pub use envelope::Kind;
pub use error::CodecError;
pub use instance::StoredInstance;
pub use job::{decode_event, decode_snapshot, encode_event, encode_snapshot};
pub use pipeline::{PipelineHead, decode_pipeline, encode_pipeline};
pub use primitives::{duration_to_nanos, time_from_nanos, time_to_nanos};
pub use record::{StoredDue, StoredRecord};
pub use seal::{Seal, Unsealed};

/// Finds the revision that a job refers to; none if it is not kept.
pub type Revisions<'a> = &'a dyn Fn(PipelineId, i64) -> Option<Arc<Pipeline>>;

/// A value whose form needs neither a key nor another value to be read.
pub trait Stored: Sized {
    /// What its envelope says.
    const KIND: Kind;
    /// Its body.
    type Message: prost::Message + Default;

    /// The body.
    fn to_message(&self) -> Self::Message;

    /// The value of a body, or what is wrong with it.
    fn from_message(message: Self::Message) -> Result<Self, CodecError>;
}

/// The stored form of a value.
pub fn encode<T: Stored>(value: &T) -> Vec<u8> {
    envelope::pack(T::KIND, &value.to_message())
}

/// Reads a stored value.
pub fn decode<T: Stored>(stored: &[u8]) -> Result<T, CodecError> {
    T::from_message(envelope::unpack(T::KIND, stored)?)
}
