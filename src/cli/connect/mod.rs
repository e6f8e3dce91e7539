//! Reaching a service: options and contexts, one connection with retries, resumable streams.

pub(crate) mod backoff;
pub(crate) mod caller;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod log_reader;
pub(crate) mod remote;
pub(crate) mod trace;
pub(crate) mod unreachable;
pub(crate) mod watch;
