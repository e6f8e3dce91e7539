//! Connections and HTTP, as all kinds of clients see them.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

mod calls;
mod connections;
mod deadlines;
mod grpc_web;
mod quotas;
mod raw;
mod router;
mod slow;
mod tls;
mod world;
