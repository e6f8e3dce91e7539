//! The generated messages and stubs, and the conversions between them and the
//! domain.

/// Messages, clients and servers generated from `proto/pipewright/v1`.
pub mod v1 {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::expect_used,
        clippy::unwrap_used,
        rustdoc::all
    )]
    tonic::include_proto!("pipewright.v1");
}

/// The encoded `FileDescriptorSet` of `proto/`, imports and comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
