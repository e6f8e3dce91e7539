//! Messages that are assembled from encoded parts. The encoded entries of a repeated field can
//! be concatenated, so any consecutive entries are a valid message.

use bytes::{BufMut, Bytes, BytesMut};
use prost::{Message, encode_length_delimiter, length_delimiter_len};

use crate::domain::Pipeline;

use super::{Reply, pipeline_to_proto, v1};

/// The tag of an entry of `JobEventBatch.events` and of `ListPipelinesResponse.pipelines`, and
/// of the pipeline in any other response: field 1, length-delimited.
const FIRST: u8 = 1 << 3 | 2;
/// The tag of `WatchJobResponse.events`: field 2, length-delimited.
const SECOND: u8 = 2 << 3 | 2;

/// Adds an event to an encoded `JobEventBatch`.
pub fn write_entry(event: &v1::JobEvent, batch: &mut Vec<u8>) {
    batch.push(FIRST);
    event
        .encode_length_delimited(batch)
        .expect("a vector has room");
}

/// An encoded `WatchJobResponse` with an encoded `JobEventBatch`.
pub fn batch_message(batch: &[u8]) -> Bytes {
    let length = batch.len();
    let mut message = Vec::with_capacity(1 + length_delimiter_len(length) + length);
    message.push(SECOND);
    encode_length_delimiter(length, &mut message).expect("a vector has room");
    message.extend_from_slice(batch);
    message.into()
}

/// A pipeline, encoded as field 1 of a message.
pub fn pipeline_entry(pipeline: &Pipeline) -> Bytes {
    let message = pipeline_to_proto(pipeline);
    let length = message.encoded_len();
    let mut entry = Vec::with_capacity(1 + length_delimiter_len(length) + length);
    entry.push(FIRST);
    message
        .encode_length_delimited(&mut entry)
        .expect("a vector has room");
    entry.into()
}

/// A page of pipelines, from encoded entries.
pub fn pipelines_page(
    entries: &[Bytes],
    next_page_token: String,
) -> Reply<v1::ListPipelinesResponse> {
    let rest = v1::ListPipelinesResponse {
        pipelines: Vec::new(),
        next_page_token,
    };
    let length = entries.iter().map(Bytes::len).sum::<usize>() + rest.encoded_len();
    let mut page = BytesMut::with_capacity(length);
    entries.iter().for_each(|entry| page.put_slice(entry));
    rest.encode(&mut page)
        .expect("a buffer that grows has room");
    Reply::Encoded(page.freeze())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use uuid::Uuid;

    use crate::domain::{PipelineId, PipelineSpec, Stage, StageAction, limits};

    use super::*;

    /// The tags above must be those of the generated types.
    #[test]
    fn assembled_messages_equal_encoded_messages() {
        let event = |sequence| v1::JobEvent {
            sequence,
            ..Default::default()
        };
        let events: Vec<_> = [1, 2, i64::MAX].map(event).into();
        let mut batch = Vec::new();
        events
            .iter()
            .for_each(|event| write_entry(event, &mut batch));
        let payload = v1::watch_job_response::Payload::Events(v1::JobEventBatch { events });
        let message = v1::WatchJobResponse {
            payload: Some(payload),
        };
        assert_eq!(batch_message(&batch), message.encode_to_vec());
    }

    fn pipeline(name: &str) -> Pipeline {
        let stage = Stage {
            name: "build".to_owned(),
            stage_type: Default::default(),
            action: StageAction::Command("make".to_owned()),
            timeout: limits::DEFAULT_TIMEOUT,
            needs: Vec::new(),
            run_condition: Default::default(),
            variables: Default::default(),
            runner_labels: Default::default(),
            working_directory: String::new(),
        };
        let spec = PipelineSpec {
            name: name.to_owned(),
            stages: vec![stage].into(),
            ..Default::default()
        };
        let (id, now) = (PipelineId(Uuid::nil()), SystemTime::UNIX_EPOCH);
        Pipeline::new(id, "default".to_owned(), spec, "ann".to_owned(), now).unwrap()
    }

    #[test]
    fn an_entry_is_a_response_with_the_pipeline() {
        let pipeline = pipeline("one");
        let message = Some(pipeline_to_proto(&pipeline));
        let entry = pipeline_entry(&pipeline);
        let get = v1::GetPipelineResponse {
            pipeline: message.clone(),
        };
        assert_eq!(entry, get.encode_to_vec());
        let create = v1::CreatePipelineResponse {
            pipeline: message.clone(),
        };
        assert_eq!(entry, create.encode_to_vec());
        let update = v1::UpdatePipelineResponse { pipeline: message };
        assert_eq!(entry, update.encode_to_vec());
    }

    #[test]
    fn concatenated_entries_are_a_page() {
        let pipelines = [pipeline("one"), pipeline("two")];
        let expected = v1::ListPipelinesResponse {
            pipelines: pipelines.iter().map(pipeline_to_proto).collect(),
            next_page_token: "next".to_owned(),
        };
        let entries = pipelines.each_ref().map(pipeline_entry);
        let Reply::Encoded(page) = pipelines_page(&entries, "next".to_owned()) else {
            panic!("a page is encoded");
        };
        assert_eq!(page, expected.encode_to_vec());
    }
}
