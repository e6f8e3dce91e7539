//! The generated messages and stubs, and the conversions between them and the domain. The
//! conversions destructure messages, so that a new field of the API does not compile until it
//! is handled.

mod code;
mod codec;
mod entries;
mod event;
mod job;
pub mod lease;
mod pipeline;
mod project;
mod redacted;
mod time;

pub use code::code_name;
pub use codec::{Codec, Outgoing, Reply};
pub use entries::{batch_message, pipeline_entry, pipelines_page, write_entry};
pub use event::event_to_proto;
pub use job::{
    attempt_to_proto, bytes_to_proto, job_summary_to_proto, job_to_proto, log_loss_to_proto,
    pending_to_proto, state_from_proto,
};
pub use pipeline::{PipelineDraft, pipeline_from_proto, pipeline_to_proto, spec_fits};
pub use project::{SentProject, project_from_proto, project_to_proto};
pub use time::{duration_from_proto, duration_to_proto, time_to_proto};

/// Messages, clients and servers generated from `proto/pipewright/v1`.
pub mod v1 {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::unwrap_used,
        rustdoc::all
    )]
    tonic::include_proto!("pipewright.v1");
}

/// Messages, clients and servers generated from `proto/pipewright/runner/v1`.
pub mod runner_v1 {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::unwrap_used,
        rustdoc::all
    )]
    tonic::include_proto!("pipewright.runner.v1");
}

/// The encoded `FileDescriptorSet` of `proto/`, imports and comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
