use crate::domain::{PipelineId, StageDurations};

use super::{
    CodecError, Kind, Stored, messages,
    primitives::{id_from_bytes, id_to_bytes},
};

/// How long the stages of a pipeline took in its newest job that succeeded. Stored
/// apart from the pipeline's counters, which change with every job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDurations {
    pub pipeline_id: PipelineId,
    /// Number of that job.
    pub number: i64,
    /// Milliseconds by stage name.
    pub durations: StageDurations,
}

impl Stored for StoredDurations {
    const KIND: Kind = Kind::StageDurations;
    type Message = messages::StageDurations;

    fn to_message(&self) -> Self::Message {
        let Self {
            pipeline_id,
            number,
            durations,
        } = self;
        messages::StageDurations {
            pipeline_id: id_to_bytes(pipeline_id.0),
            number: *number,
            millis: durations.clone(),
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::StageDurations {
            pipeline_id,
            number,
            millis,
        } = message;
        let id = id_from_bytes(&pipeline_id, "StageDurations.pipeline_id")?;
        Ok(Self {
            pipeline_id: PipelineId(id),
            number,
            durations: millis,
        })
    }
}
