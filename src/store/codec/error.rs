use crate::domain::{GraphError, PipelineId};

use super::Kind;

/// Why a stored value cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Shorter than its envelope says, or than any envelope is.
    #[error("a stored value has {found} bytes of {expected}")]
    Truncated {
        /// Actual number of bytes.
        found: usize,
        /// Least number of bytes expected.
        expected: usize,
    },
    /// Longer than its envelope says.
    #[error("a stored value has {found} bytes where {expected} were written")]
    TooLong {
        /// Actual number of bytes.
        found: usize,
        /// Expected number of bytes.
        expected: usize,
    },
    /// No form has this number.
    #[error(
        "a stored value is of kind {found}, which this version does not know; expected {expected:?}"
    )]
    UnknownKind { found: u8, expected: Kind },
    /// The value has another form.
    #[error("a stored value is a {found:?}; expected a {expected:?}")]
    WrongKind { found: Kind, expected: Kind },
    /// The checksum does not match.
    #[error(
        "a stored {kind:?} has the checksum {found:08x}; expected {expected:08x}: it is damaged"
    )]
    Checksum {
        kind: Kind,
        /// CRC-32C of the bytes that were read.
        found: u32,
        /// CRC-32C in the header.
        expected: u32,
    },
    /// A later version wrote it in a format that this one would misread.
    #[error(
        "a stored {kind:?} of format {format} takes a reader of format {min_reader}; this version \
         reads up to {reader}"
    )]
    TooNew {
        kind: Kind,
        /// Format that wrote it.
        format: u16,
        /// Oldest format whose reader understands it.
        min_reader: u16,
        /// Newest format that this version reads.
        reader: u16,
    },
    /// The body does not decode as a message.
    #[error("the body of a stored {kind:?} is no message")]
    Body {
        kind: Kind,
        source: prost::DecodeError,
    },
    /// An event of a job has a change that this version does not know.
    #[error("event {sequence} of a job is a change that this version does not know")]
    UnknownChange { sequence: i64 },
    /// An enum has a value that this version does not know; 0 if the field is absent.
    #[error("{field} is {found}, which this version does not know")]
    UnknownValue {
        /// The field, with its message.
        field: &'static str,
        found: i32,
    },
    /// None of the variants of a `oneof` that this version knows is set.
    #[error("{field} is none of those that this version knows")]
    UnknownCase {
        /// The field, with its message.
        field: &'static str,
    },
    /// A field that every version writes is absent.
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
        /// The actual value; never a secret.
        found: String,
        expected: &'static str,
    },
    /// A job refers to a revision that the store does not have.
    #[error("revision {revision} of pipeline {pipeline_id} is not kept; a job refers to it")]
    UnknownRevision {
        pipeline_id: PipelineId,
        revision: i64,
    },
    /// The stages of a revision have no topological order.
    #[error("the stages of revision {revision} of pipeline {pipeline_id} have no order: {error:?}")]
    Graph {
        pipeline_id: PipelineId,
        revision: i64,
        error: GraphError,
    },
    /// A secret cannot be decrypted.
    #[error("the secret {aad} cannot be opened: {reason}")]
    Sealed {
        /// The additional data that it was sealed under: collection/id/name.
        aad: String,
        /// The reason; never includes the content.
        reason: &'static str,
    },
}

impl CodecError {
    /// Whether a later version wrote the value: it is not damaged, and must be left as
    /// it is.
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
