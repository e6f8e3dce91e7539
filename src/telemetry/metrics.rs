//! The numbers that `/metrics` tells, in one place: their names, by the conventions
//! of Prometheus (<https://prometheus.io/docs/practices/naming/>), and what they mean.

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Calls that were answered, by `service`, `method` and `code`.
pub const RPC_REQUESTS: &str = "pipewright_rpc_requests_total";
/// Time from a call to the beginning of its answer, by `service` and `method`.
pub const RPC_DURATION: &str = "pipewright_rpc_duration_seconds";
/// Calls whose answer has not ended, by `service` and `method`.
pub const RPC_OPEN: &str = "pipewright_rpc_open";
/// Calls and connections that a limit or a rule refused, by the `reason` of their error.
pub const REFUSALS: &str = "pipewright_refusals_total";
/// Open connections.
pub const CONNECTIONS: &str = "pipewright_connections_open";
/// Connections that were accepted.
pub const CONNECTIONS_ACCEPTED: &str = "pipewright_connections_accepted_total";
/// Stages that wait for a runner.
pub const QUEUE_DEPTH: &str = "pipewright_queue_stages";
/// How long the stage at the head of the queue has waited.
pub const QUEUE_AGE: &str = "pipewright_queue_head_age_seconds";
/// Time from a stage's readiness to its start.
pub const STAGE_WAIT: &str = "pipewright_stage_wait_seconds";
/// Stages that a runner holds a lease on.
pub const STAGES_RUNNING: &str = "pipewright_stages_running";
/// Attempts at stages that ended, by `state`.
pub const STAGES_ENDED: &str = "pipewright_stages_ended_total";
/// Time from a stage's start to its end, by `state`.
pub const STAGE_DURATION: &str = "pipewright_stage_duration_seconds";
/// Runners that are known, by `state`.
pub const RUNNERS: &str = "pipewright_runners";
/// Open streams that watch a job or read a log.
pub const WATCHERS: &str = "pipewright_watchers";
/// Bytes of log that runners sent and that were stored.
pub const LOG_RECEIVED: &str = "pipewright_log_received_bytes_total";
/// Bytes of all logs that are kept.
pub const LOG_STORED: &str = "pipewright_log_stored_bytes";
/// Jobs that were made.
pub const JOBS_CREATED: &str = "pipewright_jobs_created_total";
/// Jobs that ended, by `state`.
pub const JOBS_ENDED: &str = "pipewright_jobs_ended_total";
/// Time from a job's making to its end, by `state`.
pub const JOB_DURATION: &str = "pipewright_job_duration_seconds";
/// 1, with the `version` of the program.
pub const BUILD_INFO: &str = "pipewright_build_info";

/// Bounds for what callers wait for, in seconds.
const CALLS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0,
];
/// Bounds for what stages and jobs take, in seconds.
const WORK: [f64; 12] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 86_400.0,
];

/// Begins to count, in the whole process; a second time, goes on with the first.
///
/// # Errors
/// If something else counts already.
pub fn install() -> Result<&'static PrometheusHandle, BuildError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    static INSTALL: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
    let _one_at_a_time = INSTALL.lock();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle);
    }
    let full = |name: &str| Matcher::Full(name.to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(full(RPC_DURATION), &CALLS)?
        .set_buckets_for_metric(full(STAGE_WAIT), &WORK)?
        .set_buckets_for_metric(full(STAGE_DURATION), &WORK)?
        .set_buckets_for_metric(full(JOB_DURATION), &WORK)?
        .install_recorder()?;
    describe();
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(HANDLE.get_or_init(|| handle))
}

fn describe() {
    describe_counter!(RPC_REQUESTS, Unit::Count, "Calls that were answered");
    describe_histogram!(
        RPC_DURATION,
        Unit::Seconds,
        "Time from a call to the beginning of its answer"
    );
    describe_gauge!(RPC_OPEN, Unit::Count, "Calls whose answer has not ended");
    describe_counter!(
        REFUSALS,
        Unit::Count,
        "Calls and connections that a limit or a rule refused"
    );
    describe_gauge!(CONNECTIONS, Unit::Count, "Open connections");
    describe_counter!(
        CONNECTIONS_ACCEPTED,
        Unit::Count,
        "Connections that were accepted"
    );
    describe_gauge!(QUEUE_DEPTH, Unit::Count, "Stages that wait for a runner");
    describe_gauge!(
        QUEUE_AGE,
        Unit::Seconds,
        "How long the stage at the head of the queue has waited"
    );
    describe_histogram!(
        STAGE_WAIT,
        Unit::Seconds,
        "Time from a stage's readiness to its start"
    );
    describe_gauge!(
        STAGES_RUNNING,
        Unit::Count,
        "Stages that a runner holds a lease on"
    );
    describe_counter!(STAGES_ENDED, Unit::Count, "Attempts at stages that ended");
    describe_histogram!(
        STAGE_DURATION,
        Unit::Seconds,
        "Time from a stage's start to its end"
    );
    describe_gauge!(RUNNERS, Unit::Count, "Runners that are known");
    describe_gauge!(
        WATCHERS,
        Unit::Count,
        "Open streams that watch a job or read a log"
    );
    describe_counter!(
        LOG_RECEIVED,
        Unit::Bytes,
        "Bytes of log that runners sent and that were stored"
    );
    describe_gauge!(LOG_STORED, Unit::Bytes, "Bytes of all logs that are kept");
    describe_counter!(JOBS_CREATED, Unit::Count, "Jobs that were made");
    describe_counter!(JOBS_ENDED, Unit::Count, "Jobs that ended");
    describe_histogram!(
        JOB_DURATION,
        Unit::Seconds,
        "Time from a job's making to its end"
    );
    describe_gauge!(BUILD_INFO, Unit::Count, "1, with the program's version");
}
