//! Pipewright: a gRPC-native CI/CD pipeline service.
//!
//! The crate is one binary in layers. `docs/ARCHITECTURE.md` describes them and
//! their reasons, and `tests/layers.rs` enforces them.

#[cfg(windows)]
compile_error!("Pipewright runs commands in POSIX process groups; Windows has none. Use WSL.");

#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod api;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod auth;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod blobs;
pub mod cli;
pub mod config;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod domain;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod engine;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod http;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod private_file;
pub mod proto;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod runner;
pub mod scratch;
pub mod server;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod store;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod supervisor;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod telemetry;
#[allow(
    missing_docs,
    reason = "internal: comments say why, not what a name says"
)]
pub mod transport;
