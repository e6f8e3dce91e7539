use std::time::SystemTime;

use crate::domain::{JobId, PipelineId};

use super::{
    CodecError, Kind, Stored,
    messages::{self, kept_answer},
    primitives::{id_from_bytes, id_to_bytes, time_from_nanos, time_to_nanos},
};

/// What a call with a request id answered, by reference: what it shows is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerRef {
    /// A revision of a pipeline.
    Pipeline {
        /// The pipeline.
        id: PipelineId,
        /// The revision that was shown.
        revision: i64,
    },
    /// A job after one of its events.
    Job {
        /// The job.
        id: JobId,
        /// Sequence of the newest event that was shown.
        sequence: i64,
    },
    /// Nothing but OK.
    Nothing,
}

/// The first answer to a request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Keyed hash of the request, to know a repetition from another request.
    pub fingerprint: [u8; 32],
    /// When it was given.
    pub time: SystemTime,
    /// What was answered.
    pub answer: AnswerRef,
}

impl Stored for StoredAnswer {
    const KIND: Kind = Kind::KeptAnswer;
    type Message = messages::KeptAnswer;

    fn to_message(&self) -> Self::Message {
        let Self {
            fingerprint,
            time,
            answer,
        } = self;
        let answer = match answer {
            AnswerRef::Pipeline { id, revision } => {
                kept_answer::Answer::Pipeline(kept_answer::Pipeline {
                    id: id_to_bytes(id.0),
                    revision: *revision,
                })
            }
            AnswerRef::Job { id, sequence } => kept_answer::Answer::Job(kept_answer::Job {
                id: id_to_bytes(id.0),
                sequence: *sequence,
            }),
            AnswerRef::Nothing => kept_answer::Answer::Nothing(kept_answer::Nothing {}),
        };
        messages::KeptAnswer {
            fingerprint: fingerprint.to_vec().into(),
            time: time_to_nanos(*time),
            answer: Some(answer),
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::KeptAnswer {
            fingerprint,
            time,
            answer,
        } = message;
        let field = "KeptAnswer.answer";
        let answer = match answer.ok_or(CodecError::UnknownCase { field })? {
            kept_answer::Answer::Pipeline(kept_answer::Pipeline { id, revision }) => {
                AnswerRef::Pipeline {
                    id: PipelineId(id_from_bytes(&id, field)?),
                    revision,
                }
            }
            kept_answer::Answer::Job(kept_answer::Job { id, sequence }) => AnswerRef::Job {
                id: JobId(id_from_bytes(&id, field)?),
                sequence,
            },
            kept_answer::Answer::Nothing(kept_answer::Nothing {}) => AnswerRef::Nothing,
        };
        let found = fingerprint.len();
        Ok(Self {
            fingerprint: <[u8; 32]>::try_from(&*fingerprint).map_err(|_| CodecError::Invalid {
                field: "KeptAnswer.fingerprint",
                found: format!("{found} bytes"),
                expected: "32 bytes",
            })?,
            time: time_from_nanos(time),
            answer,
        })
    }
}
