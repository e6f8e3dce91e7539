//! All metrics of `/metrics`: their names, by the conventions of Prometheus
//! (<https://prometheus.io/docs/practices/naming/>), and their descriptions.

use std::sync::OnceLock;

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub(crate) const RPC_REQUESTS: &str = "pipewright_rpc_requests_total";
pub(crate) const RPC_DURATION: &str = "pipewright_rpc_duration_seconds";
pub(crate) const RPC_OPEN: &str = "pipewright_rpc_open";
pub(crate) const REFUSALS: &str = "pipewright_refusals_total";
pub(crate) const CONNECTIONS: &str = "pipewright_connections_open";
pub(crate) const CONNECTIONS_ACCEPTED: &str = "pipewright_connections_accepted_total";
pub(crate) const QUEUE_DEPTH: &str = "pipewright_queue_stages";
pub(crate) const QUEUE_AGE: &str = "pipewright_queue_head_age_seconds";
pub(crate) const STAGE_WAIT: &str = "pipewright_stage_wait_seconds";
pub(crate) const STAGES_RUNNING: &str = "pipewright_stages_running";
pub(crate) const STAGES_ENDED: &str = "pipewright_stages_ended_total";
pub(crate) const STAGE_DURATION: &str = "pipewright_stage_duration_seconds";
pub(crate) const RUNNERS: &str = "pipewright_runners";
pub(crate) const WATCHERS: &str = "pipewright_watchers";
pub(crate) const LOG_RECEIVED: &str = "pipewright_log_received_bytes_total";
pub(crate) const LOG_DROPPED: &str = "pipewright_log_dropped_bytes_total";
pub(crate) const LOG_STORED: &str = "pipewright_log_stored_bytes";
pub(crate) const MEMORY_USED: &str = "pipewright_memory_used_bytes";
pub(crate) const MEMORY_LIMIT: &str = "pipewright_memory_limit_bytes";
pub(crate) const MEMORY_REFUSALS: &str = "pipewright_memory_refusals_total";
pub(crate) const MEMORY_EVICTIONS: &str = "pipewright_memory_evictions_total";
pub(crate) const JOBS_CREATED: &str = "pipewright_jobs_created_total";
pub(crate) const JOBS_ENDED: &str = "pipewright_jobs_ended_total";
pub(crate) const JOB_DURATION: &str = "pipewright_job_duration_seconds";
pub(crate) const TASK_RUNS: &str = "pipewright_task_runs_total";
pub(crate) const TASK_DURATION: &str = "pipewright_task_duration_seconds";
pub(crate) const TASK_LAST_SUCCESS: &str = "pipewright_task_last_success_timestamp_seconds";
pub(crate) const TASK_ITEMS: &str = "pipewright_task_items_total";
pub(crate) const OUTBOX_MESSAGES: &str = "pipewright_outbox_messages_total";
pub(crate) const DIRECTORIES_LEFT: &str = "pipewright_directories_left_total";
pub(crate) const BUILD_INFO: &str = "pipewright_build_info";

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    /// Of durations in seconds.
    Histogram,
}

/// The name, kind and description of every metric. The descriptions name the labels.
const METRICS: [(&str, Kind, &str); 31] = {
    use Kind::{Counter, Gauge, Histogram};
    [
        (
            RPC_REQUESTS,
            Counter,
            "Calls that were answered, by service, method and code",
        ),
        (
            RPC_DURATION,
            Histogram,
            "Time from a call to the beginning of its answer, by service and method",
        ),
        (
            RPC_OPEN,
            Gauge,
            "Calls whose answer has not ended, by service and method",
        ),
        (
            REFUSALS,
            Counter,
            "Calls and connections that a limit or a rule refused, by the reason of their error",
        ),
        (CONNECTIONS, Gauge, "Open connections"),
        (
            CONNECTIONS_ACCEPTED,
            Counter,
            "Connections that were accepted",
        ),
        (QUEUE_DEPTH, Gauge, "Stages that wait for a runner"),
        (
            QUEUE_AGE,
            Gauge,
            "How long the stage at the head of the queue has waited",
        ),
        (
            STAGE_WAIT,
            Histogram,
            "Time from a stage's readiness to its start",
        ),
        (
            STAGES_RUNNING,
            Gauge,
            "Stages that a runner holds a lease on",
        ),
        (
            STAGES_ENDED,
            Counter,
            "Attempts at stages that ended, by state",
        ),
        (
            STAGE_DURATION,
            Histogram,
            "Time from a stage's start to its end, by state",
        ),
        (RUNNERS, Gauge, "Runners that are known, by state"),
        (
            WATCHERS,
            Gauge,
            "Open streams that watch a job or read a log",
        ),
        (LOG_RECEIVED, Counter, "Bytes of log that runners sent"),
        (
            LOG_DROPPED,
            Counter,
            "Bytes of log that could not be stored, by what is wrong with the storage",
        ),
        (LOG_STORED, Gauge, "Bytes of all logs that are kept"),
        (
            MEMORY_USED,
            Gauge,
            "Bytes of memory that stored pipelines, jobs and records take, by budget: of the whole service, of the project that has most, of the caller that has most",
        ),
        (MEMORY_LIMIT, Gauge, "The limit of each budget of memory"),
        (
            MEMORY_REFUSALS,
            Counter,
            "Calls that were refused because a budget of memory is used up, by budget",
        ),
        (
            MEMORY_EVICTIONS,
            Counter,
            "Ended jobs and old revisions that were removed to make room in a budget of memory, by what it was: job or revision",
        ),
        (JOBS_CREATED, Counter, "Jobs that were made"),
        (JOBS_ENDED, Counter, "Jobs that ended, by state"),
        (
            JOB_DURATION,
            Histogram,
            "Time from a job's making to its end, by state",
        ),
        (
            OUTBOX_MESSAGES,
            Counter,
            "Tries to send a message of the outbox, by kind and result: sent, failed or dead",
        ),
        (
            TASK_RUNS,
            Counter,
            "Runs of background tasks that ended, by task and result",
        ),
        (
            TASK_DURATION,
            Histogram,
            "Time that a run of a background task took, by task",
        ),
        (
            TASK_LAST_SUCCESS,
            Gauge,
            "When a background task last succeeded, in seconds since 1970, by task",
        ),
        (
            TASK_ITEMS,
            Counter,
            "Things that background tasks did, by task",
        ),
        (
            DIRECTORIES_LEFT,
            Counter,
            "Workspaces and temporary directories that could not be removed",
        ),
        (BUILD_INFO, Gauge, "1, with the version of the program"),
    ]
};

/// Histogram buckets for the latency of calls, in seconds.
const CALLS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0,
];
/// Histogram buckets for the duration of background tasks, in seconds.
const TASKS: [f64; 10] = [
    0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0,
];
/// Histogram buckets for the duration of stages and jobs, in seconds.
const WORK: [f64; 12] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 86_400.0,
];

/// Installs the metrics recorder of the process. Further calls return the first handle.
///
/// # Errors
/// If another recorder is installed.
pub(crate) fn install() -> Result<&'static PrometheusHandle, BuildError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    static INSTALL: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
    let _guard = INSTALL.lock();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle);
    }
    let full = |name: &str| Matcher::Full(name.to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(full(RPC_DURATION), &CALLS)?
        .set_buckets_for_metric(full(STAGE_WAIT), &WORK)?
        .set_buckets_for_metric(full(STAGE_DURATION), &WORK)?
        .set_buckets_for_metric(full(JOB_DURATION), &WORK)?
        .set_buckets_for_metric(full(TASK_DURATION), &TASKS)?
        .install_recorder()?;
    describe();
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(HANDLE.get_or_init(|| handle))
}

fn describe() {
    for (name, kind, description) in METRICS {
        match kind {
            Kind::Counter => describe_counter!(name, description),
            Kind::Gauge => describe_gauge!(name, description),
            Kind::Histogram => describe_histogram!(name, description),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_have_the_suffix_of_their_kind() {
        for (name, kind, _) in METRICS {
            let is_total = name.ends_with("_total");
            assert_eq!(is_total, matches!(kind, Kind::Counter), "{name}");
            let is_histogram = matches!(kind, Kind::Histogram);
            assert!(!is_histogram || name.ends_with("_seconds"), "{name}");
        }
    }
}
