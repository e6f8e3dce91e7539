//! Pipewright: a gRPC-native CI/CD pipeline service.
//!
//! The crate is one binary in layers; `docs/ARCHITECTURE.md` tells them and
//! their reasons, and `tests/layers.rs` holds the code to them.

#[cfg(windows)]
compile_error!("Pipewright runs commands in POSIX process groups; Windows has none. Use WSL.");

pub mod api;
pub mod auth;
pub mod blobs;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod proto;
pub mod runner;
pub mod server;
pub mod store;
pub mod supervisor;
pub mod telemetry;
