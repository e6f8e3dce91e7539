//! The header that precedes the body of every stored value. Numbers are in little
//! endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | kind: which form it is |
//! | 2 | format: which version of the form wrote it |
//! | 2 | `min_reader`: the oldest format whose reader understands it |
//! | 4 | bytes of the body |
//! | 4 | CRC-32C of all of the above and the body |
//! | | the body |
//!
//! This header is the same for all forms and never changes.

use prost::Message;

use super::CodecError;

/// Bytes that the checksum covers before the body.
const COVERED: usize = 9;
/// Bytes before the body.
const HEADER: usize = COVERED + 4;

/// The form of a stored value. The numbers are stored, so a number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    PipelineRevision = 1,
    /// A pipeline's counters.
    PipelineHead = 2,
    JobEvent = 3,
    /// A job after one of its events.
    JobSnapshot = 4,
    /// The idempotency record of a request id.
    KeptAnswer = 5,
    Project = 6,
    /// What statistics need of an ended job.
    JobFacts = 7,
    /// A record of a collection.
    Record = 8,
    /// Work that is due at a time.
    DueRow = 9,
    Offer = 10,
    LostWorkspace = 11,
    /// A runner as it registered.
    Runner = 12,
    Lease = 13,
    /// The binding of a job to a runner.
    Binding = 14,
    /// The values that exist once per store.
    Instance = 15,
    /// How long the stages of a pipeline took.
    StageDurations = 16,
    /// A message that could not be sent.
    DeadLetter = 17,
    /// The wrapped key of the secrets of one owner.
    DataKey = 18,
}

impl Kind {
    const ALL: [Self; 18] = [
        Self::PipelineRevision,
        Self::PipelineHead,
        Self::JobEvent,
        Self::JobSnapshot,
        Self::KeptAnswer,
        Self::Project,
        Self::JobFacts,
        Self::Record,
        Self::DueRow,
        Self::Offer,
        Self::LostWorkspace,
        Self::Runner,
        Self::Lease,
        Self::Binding,
        Self::Instance,
        Self::StageDurations,
        Self::DeadLetter,
        Self::DataKey,
    ];

    /// The format that this version writes, and the newest that it reads. Increases
    /// with every change of the form.
    pub const fn format(self) -> u16 {
        match self {
            Self::PipelineRevision
            | Self::PipelineHead
            | Self::JobEvent
            | Self::JobSnapshot
            | Self::KeptAnswer
            | Self::Project
            | Self::JobFacts
            | Self::Record
            | Self::DueRow
            | Self::Offer
            | Self::LostWorkspace
            | Self::Runner
            | Self::Lease
            | Self::Binding
            | Self::Instance
            | Self::StageDurations
            | Self::DeadLetter
            | Self::DataKey => 1,
        }
    }

    /// The oldest format whose reader understands what this version writes. A reader of
    /// this format or a later one may ignore fields that it does not know.
    pub const fn min_reader(self) -> u16 {
        match self {
            Self::PipelineRevision
            | Self::PipelineHead
            | Self::JobEvent
            | Self::JobSnapshot
            | Self::KeptAnswer
            | Self::Project
            | Self::JobFacts
            | Self::Record
            | Self::DueRow
            | Self::Offer
            | Self::LostWorkspace
            | Self::Runner
            | Self::Lease
            | Self::Binding
            | Self::Instance
            | Self::StageDurations
            | Self::DeadLetter
            | Self::DataKey => 1,
        }
    }

    fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

pub(super) fn pack(kind: Kind, message: &impl Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    envelope(kind as u8, kind.format(), kind.min_reader(), &body)
}

pub(super) fn unpack<M: Message + Default>(kind: Kind, stored: &[u8]) -> Result<M, CodecError> {
    let body = open(kind, stored)?;
    M::decode(body).map_err(|source| CodecError::Body { kind, source })
}

/// # Panics
/// If the body has 4 GiB or more. The limits on stored values are far below that.
pub(super) fn envelope(kind: u8, format: u16, min_reader: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a stored body is smaller than 4 GiB");
    let mut stored = Vec::with_capacity(HEADER + body.len());
    stored.push(kind);
    stored.extend(format.to_le_bytes());
    stored.extend(min_reader.to_le_bytes());
    stored.extend(length.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&stored), body);
    stored.extend(checksum.to_le_bytes());
    stored.extend_from_slice(body);
    stored
}

/// Checks an envelope and returns its body. Length and checksum are checked first:
/// only if they are right does an unknown number mean a later version.
fn open(expected: Kind, stored: &[u8]) -> Result<&[u8], CodecError> {
    let Some((header, body)) = stored.split_first_chunk::<HEADER>() else {
        return Err(CodecError::Truncated {
            found: stored.len(),
            expected: HEADER,
        });
    };
    let [kind, f0, f1, m0, m1, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    check_length(stored.len(), HEADER.saturating_add(length))?;
    let written = u32::from_le_bytes([c0, c1, c2, c3]);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[..COVERED]), body);
    if checksum != written {
        return Err(CodecError::Checksum {
            kind: expected,
            found: checksum,
            expected: written,
        });
    }
    let found = Kind::numbered(kind).ok_or(CodecError::UnknownKind {
        found: kind,
        expected,
    })?;
    if found != expected {
        return Err(CodecError::WrongKind { found, expected });
    }
    let min_reader = u16::from_le_bytes([m0, m1]);
    if min_reader > expected.format() {
        return Err(CodecError::TooNew {
            kind: expected,
            format: u16::from_le_bytes([f0, f1]),
            min_reader,
            reader: expected.format(),
        });
    }
    Ok(body)
}

fn check_length(found: usize, expected: usize) -> Result<(), CodecError> {
    if found < expected {
        Err(CodecError::Truncated { found, expected })
    } else if found > expected {
        Err(CodecError::TooLong { found, expected })
    } else {
        Ok(())
    }
}
