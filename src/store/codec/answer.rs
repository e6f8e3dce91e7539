use crate::{
    domain::{JobId, PipelineId},
    store::{Answer, KeptAnswer},
};

use super::{
    CodecError, Kind, Stored,
    messages::{self, kept_answer},
    primitives::{id_from_bytes, id_to_bytes, time_from_nanos, time_to_nanos},
};

impl Stored for KeptAnswer {
    const KIND: Kind = Kind::KeptAnswer;
    type Message = messages::KeptAnswer;

    fn to_message(&self) -> Self::Message {
        let Self {
            fingerprint,
            time,
            answer,
        } = self;
        let answer = match answer {
            Answer::Pipeline(id, revision) => {
                kept_answer::Answer::Pipeline(kept_answer::Pipeline {
                    id: id_to_bytes(id.0),
                    revision: *revision,
                })
            }
            Answer::Job(id, sequence) => kept_answer::Answer::Job(kept_answer::Job {
                id: id_to_bytes(id.0),
                sequence: *sequence,
            }),
            Answer::Project(name, version) => kept_answer::Answer::Project(kept_answer::Project {
                name: name.clone(),
                version: *version,
            }),
            Answer::Nothing => kept_answer::Answer::Nothing(kept_answer::Nothing {}),
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
                Answer::Pipeline(PipelineId(id_from_bytes(&id, field)?), revision)
            }
            kept_answer::Answer::Job(kept_answer::Job { id, sequence }) => {
                Answer::Job(JobId(id_from_bytes(&id, field)?), sequence)
            }
            kept_answer::Answer::Project(kept_answer::Project { name, version }) => {
                Answer::Project(name, version)
            }
            kept_answer::Answer::Nothing(kept_answer::Nothing {}) => Answer::Nothing,
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
