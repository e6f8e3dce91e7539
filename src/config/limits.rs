//! Limits that protect the service from overload.

use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// Limits that protect the service from overload. Each refusal names its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request message; some methods have a lower limit.
    pub max_message: u64,
    /// Bytes of a request's headers.
    pub max_headers: u32,
    /// Open connections.
    pub max_connections: usize,
    /// Open connections of one IP address.
    pub max_connections_per_address: usize,
    /// Open calls of one connection; beyond it, the client waits.
    pub max_streams_per_connection: u32,
    /// Open calls of one principal; of one IP address for unauthenticated calls, which are
    /// health checks.
    pub max_streams_per_principal: usize,
    /// Calls of one principal per second, as the rate and the burst size; unlimited if none.
    pub max_requests_per_second: Option<u32>,
    /// Failed logins of one IP address per minute, as the rate and the burst size.
    pub max_failed_logins_per_minute: u32,
    /// Stages that wait for a runner.
    pub max_queued_stages: usize,
    /// Jobs of a pipeline that have not ended.
    pub max_active_jobs: usize,
    /// Known runners, including those lost in the last hour.
    pub max_runners: usize,
    /// Bytes of memory that stored pipelines, jobs and records may take; none for no limit.
    pub max_memory: Option<u64>,
    /// The same of one project.
    pub max_project_memory: Option<u64>,
    /// The same of what one caller had stored.
    pub max_caller_memory: Option<u64>,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// Longest wait for a connection's first request, and for the headers of any request.
    pub request_timeout: Duration,
    /// Longest wait for the whole request of a call.
    pub message_timeout: Duration,
    /// Idle time after which the service sends a keepalive ping.
    pub keepalive_interval: Duration,
    /// Longest wait for the response to a ping.
    pub keepalive_timeout: Duration,
    /// How long a stream may stay open; unlimited if none. Its client resumes it.
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
            max_memory: Some(512 * MIB),
            max_project_memory: Some(256 * MIB),
            max_caller_memory: Some(128 * MIB),
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            max_stream_age: None,
        }
    }
}
