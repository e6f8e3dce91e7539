//! The codec of every value that a store keeps as bytes.
//!
//! A value is a message of the private package `pipewright.store.v1` in an
//! envelope. The envelope says which form it is, which version wrote it and which
//! versions can read it. Forms are separate from API types, because the two change
//! for different reasons. Times are kept to the nanosecond, from 1677 to 2262, so
//! that a decoded value equals the one that was encoded.
//!
//! The files in `golden/` pin each form. A form may gain fields, which are absent
//! in values stored earlier. It never loses a field, and no field changes its
//! meaning. If an older program would misread a new value, [`Kind::min_reader`]
//! increases with the change.

mod answer;
mod data_key;
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

/// Generated from `proto/`. No message derives `Debug`, as some carry secrets.
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

pub use data_key::StoredDataKey;
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
pub use stage_run::job_state_number;

/// Looks up the revision that a job refers to; `None` if the store does not have
/// it.
pub type Revisions<'a> = &'a dyn Fn(PipelineId, i64) -> Option<Arc<Pipeline>>;

/// A value that can be decoded without a key and without another value.
pub trait Stored: Sized {
    /// The form, as the envelope names it.
    const KIND: Kind;
    type Message: prost::Message + Default;

    fn to_message(&self) -> Self::Message;

    fn from_message(message: Self::Message) -> Result<Self, CodecError>;
}

pub fn encode<T: Stored>(value: &T) -> Vec<u8> {
    envelope::pack(T::KIND, &value.to_message())
}

pub fn decode<T: Stored>(stored: &[u8]) -> Result<T, CodecError> {
    T::from_message(envelope::unpack(T::KIND, stored)?)
}
