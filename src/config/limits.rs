//! What is refused so that the rest goes on.

use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// What is refused so that the rest goes on. Each refusal names its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request message; some methods take less.
    pub max_message: u64,
    /// Bytes of a request's headers.
    pub max_headers: u32,
    /// Open connections.
    pub max_connections: usize,
    /// Open connections of one IP address.
    pub max_connections_per_address: usize,
    /// Open calls of one connection; a client waits before it begins another one.
    pub max_streams_per_connection: u32,
    /// Open calls of one principal; those of nobody, health checks, of one IP address.
    pub max_streams_per_principal: usize,
    /// Calls of one principal in a second, on average and at once; none for no limit.
    pub max_requests_per_second: Option<u32>,
    /// Wrong credentials of one IP address in a minute, on average and at once.
    pub max_failed_logins_per_minute: u32,
    /// Stages that wait for a runner.
    pub max_queued_stages: usize,
    /// Jobs of a pipeline that have not ended.
    pub max_active_jobs: usize,
    /// Runners that are known, the lost ones of the last hour among them.
    pub max_runners: usize,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// Longest wait for a connection's first request, and for the headers of any.
    pub request_timeout: Duration,
    /// Longest wait for the whole of a call's request.
    pub message_timeout: Duration,
    /// Silence after which a client has to answer.
    pub keepalive_interval: Duration,
    /// Longest wait for that answer.
    pub keepalive_timeout: Duration,
    /// How long a stream may stay open; none for as long as it likes. Its reader resumes.
    pub max_stream_age: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 4 * MIB,
            max_headers: 16 * 1024,
            max_connections: 20_000,
            max_connections_per_address: 1_000,
            max_streams_per_connection: 256,
            max_streams_per_principal: 20_000,
            max_requests_per_second: Some(10_000),
            max_failed_logins_per_minute: 30,
            max_queued_stages: 100_000,
            max_active_jobs: 1_000,
            max_runners: 10_000,
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            max_stream_age: None,
        }
    }
}
