use crate::domain::{GraphError, PipelineId};

use super::Kind;

/// Why a stored value cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Shorter than its envelope says, or than any envelope is.
    #[error("a stored value has {found} bytes of {expected}")]
    Truncated {
        /// Bytes there are.
        found: usize,
        /// Bytes that there should be at least.
        expected: usize,
    },
    /// Longer than its envelope says.
    #[error("a stored value has {found} bytes where {expected} were written")]
    TooLong {
        /// Bytes there are.
        found: usize,
        /// Bytes that there should be.
        expected: usize,
    },
    /// No form has this number.
    #[error(
        "a stored value is of kind {found}, which this version does not know; expected {expected:?}"
    )]
    UnknownKind {
        /// Number of the kind that was found.
        found: u8,
        /// The form that was asked for.
        expected: Kind,
    },
    /// It is of another form.
    #[error("a stored value is a {found:?}; expected a {expected:?}")]
    WrongKind {
        /// The form that was found.
        found: Kind,
        /// The form that was asked for.
        expected: Kind,
    },
    /// It is not what was written.
    #[error(
        "a stored {kind:?} has the checksum {found:08x}; expected {expected:08x}: it is damaged"
    )]
    Checksum {
        /// The form.
        kind: Kind,
        /// CRC-32C of what there is.
        found: u32,
        /// CRC-32C of what was written.
        expected: u32,
    },
    /// A later version wrote it in a way that this one would misread.
    #[error(
        "a stored {kind:?} of format {format} takes a reader of format {min_reader}; this version \
         reads up to {reader}"
    )]
    TooNew {
        /// The form.
        kind: Kind,
        /// Format that wrote it.
        format: u16,
        /// Oldest format whose reader understands it.
        min_reader: u16,
        /// Newest format that this version reads.
        reader: u16,
    },
    /// The body is no message.
    #[error("the body of a stored {kind:?} is no message")]
    Body {
        /// The form.
        kind: Kind,
        /// What is wrong with it.
        source: prost::DecodeError,
    },
    /// A job's event changes something that this version does not know.
    #[error("event {sequence} of a job is a change that this version does not know")]
    UnknownChange {
        /// Sequence of the event.
        sequence: i64,
    },
    /// An enum has a value that this version does not know; 0 if the field is not there.
    #[error("{field} is {found}, which this version does not know")]
    UnknownValue {
        /// The field, with its message.
        field: &'static str,
        /// Number of the value.
        found: i32,
    },
    /// A field that is one of several is none of those that this version knows.
    #[error("{field} is none of those that this version knows")]
    UnknownCase {
        /// The field, with its message.
        field: &'static str,
    },
    /// A field that every version writes is not there.
    #[error("{field} is not there")]
    Missing {
        /// The field, with its message.
        field: &'static str,
    },
    /// A field has a value that no version writes.
    #[error("{field} is {found}; expected {expected}")]
    Invalid {
        /// The field, with its message.
        field: &'static str,
        /// What it is; never a secret.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A job refers to a revision that the store does not have.
    #[error("revision {revision} of pipeline {pipeline_id} is not kept; a job refers to it")]
    UnknownRevision {
        /// The pipeline.
        pipeline_id: PipelineId,
        /// Its revision.
        revision: i64,
    },
    /// The stages of a revision have no order.
    #[error("the stages of revision {revision} of pipeline {pipeline_id} have no order: {error:?}")]
    Graph {
        /// The pipeline.
        pipeline_id: PipelineId,
        /// Its revision.
        revision: i64,
        /// What is wrong with them.
        error: GraphError,
    },
    /// A secret cannot be opened.
    #[error("the secret {aad} cannot be opened: {reason}")]
    Sealed {
        /// What it was sealed under: collection/id/name.
        aad: String,
        /// Why not; never says what is in it.
        reason: &'static str,
    },
}

impl CodecError {
    /// Whether a later version can read the value: it is not damaged, and must be left as it is.
    pub fn is_from_later_version(&self) -> bool {
        match self {
            Self::UnknownKind { .. }
            | Self::TooNew { .. }
            | Self::UnknownChange { .. }
            | Self::UnknownCase { .. } => true,
            // An absent field reads as 0, which no version writes.
            Self::UnknownValue { field: _, found } => *found != 0,
            Self::Truncated { .. }
            | Self::TooLong { .. }
            | Self::WrongKind { .. }
            | Self::Checksum { .. }
            | Self::Body { .. }
            | Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::UnknownRevision { .. }
            | Self::Graph { .. }
            | Self::Sealed { .. } => false,
        }
    }
}
