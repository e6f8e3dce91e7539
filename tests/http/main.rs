//! Connections and HTTP, as clients of every kind meet them.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

mod calls;
mod connections;
mod deadlines;
mod front;
mod grpc_web;
mod quotas;
mod raw;
mod slow;
mod tls;
mod world;
