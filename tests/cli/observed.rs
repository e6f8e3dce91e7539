//! Observability of a service: metrics, and the traces that its commands continue.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::binary::Served;

/// Fetches a page over HTTP/1.1, as a scraper does.
fn page(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The metrics of a service, by name and labels.
fn metrics(served: &Served) -> BTreeMap<String, f64> {
    let (head, body) = page(served.address, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let samples = body
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(sample).collect()
}

#[test]
fn metrics_count_what_happened() {
    let served = Served::start(&[]);
    served.create("p", "echo 12345; exit 3");
    let watched = served.run(&["pipeline", "trigger", "p", "--watch"]);
    assert_eq!(watched.code, Some(1));
    assert_eq!(served.run(&["pipeline", "get", "none"]).code, Some(4));
    let metrics = metrics(&served);
    let at = |name: &str| {
        metrics
            .get(name)
            .copied()
            .unwrap_or_else(|| panic!("{name} of {metrics:#?}"))
    };
    assert_eq!(at("pipewright_jobs_created_total"), 1.0);
    assert_eq!(at(r#"pipewright_jobs_ended_total{state="failed"}"#), 1.0);
    assert_eq!(
        at(r#"pipewright_job_duration_seconds_count{state="failed"}"#),
        1.0
    );
    assert_eq!(at(r#"pipewright_stages_ended_total{state="failed"}"#), 1.0);
    assert_eq!(at("pipewright_stage_wait_seconds_count"), 1.0);
    assert_eq!(at("pipewright_log_received_bytes_total"), 6.0);
    assert_eq!(at("pipewright_log_stored_bytes"), 6.0);
    for (budget, limit) in [("store", 512), ("project", 256), ("caller", 128)] {
        let limit = f64::from(limit) * 1024.0 * 1024.0;
        let at = |name: &str| at(&format!("pipewright_memory_{name}{{budget=\"{budget}\"}}"));
        assert_eq!(at("limit_bytes"), limit);
        assert!((1.0..limit).contains(&at("used_bytes")), "{budget}");
    }
    assert_eq!(at(r#"pipewright_runners{state="online"}"#), 1.0);
    assert_eq!(at("pipewright_stages_running"), 0.0);
    assert_eq!(at("pipewright_queue_stages"), 0.0);
    let trigger = r#"service="pipewright.v1.PipelineService",method="TriggerPipeline""#;
    assert_eq!(
        at(&format!(
            "pipewright_rpc_requests_total{{{trigger},code=\"OK\"}}"
        )),
        1.0
    );
    assert_eq!(
        at(&format!(
            "pipewright_rpc_duration_seconds_count{{{trigger}}}"
        )),
        1.0
    );
    assert_eq!(at(&format!("pipewright_rpc_open{{{trigger}}}")), 0.0);
}

#[test]
fn metrics_show_waiting_stages_and_watchers() {
    let served = Served::start(&["--no-embedded-runner"]);
    served.create("p", "true");
    let job = served.trigger("p");
    let mut watch = crate::binary::Running::start(&mut served.command(&["job", "watch", &job]));
    while metrics(&served)["pipewright_watchers"] < 1.0 {
        std::thread::yield_now();
    }
    let before = metrics(&served);
    assert_eq!(before["pipewright_queue_stages"], 1.0);
    assert!(before["pipewright_queue_head_age_seconds"] > 0.0);
    assert_eq!(before[r#"pipewright_runners{state="online"}"#], 0.0);
    served.run(&["job", "cancel", &job]).ok();
    watch.wait();
    while metrics(&served)["pipewright_watchers"] > 0.0 {
        std::thread::yield_now();
    }
}

#[test]
fn refusals_by_a_limit_are_counted() {
    let served = Served::start(&["--max-active-jobs", "1", "--no-embedded-runner"]);
    served.create("p", "true");
    served.trigger("p");
    let refused = served.run(&["pipeline", "trigger", "p"]);
    assert!(refused.stderr.contains("max_active_jobs"), "{refused:?}");
    let refusals = metrics(&served);
    assert!(refusals[r#"pipewright_refusals_total{reason="TOO_MANY_ACTIVE_JOBS"}"#] >= 1.0);
}

/// Every metric has a row in the table of docs/OPERATIONS.md.
#[test]
fn all_metrics_are_documented() {
    let documented = fs::read_to_string("docs/OPERATIONS.md").unwrap();
    let rows = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `pipewright_"));
    let rows: BTreeSet<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    let source = fs::read_to_string("src/telemetry/metrics.rs").unwrap();
    let names = source
        .lines()
        .filter_map(|line| line.split_once("\"pipewright_"));
    let names = names.map(|(_, name)| name.split('"').next().unwrap());
    assert_eq!(rows, names.collect());
}

#[test]
fn a_command_continues_the_trace_of_the_triggering_call() {
    let served = Served::start(&[]);
    served.create("p", "echo \"parent $TRACEPARENT state $TRACESTATE\"");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut trigger = served.command(&["pipeline", "trigger", "p", "--watch"]);
    trigger
        .env("TRACEPARENT", parent)
        .env("TRACESTATE", "vendor=1");
    let output = trigger.output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains(&format!("parent {parent} state vendor=1")),
        "{shown}"
    );
    let without = served.run(&["pipeline", "trigger", "p", "--watch"]).ok();
    assert!(without.contains("[s] parent  state \n"), "{without}");
}

/// A gap in a log is reported to its readers, to watchers of the job and to the operator.
#[test]
fn a_log_that_cannot_be_stored_is_reported_everywhere() {
    let logs = tempfile::tempdir().unwrap();
    let log_dir = logs.path().join("logs");
    let mut served = Served::start(&["--log-dir", log_dir.to_str().unwrap()]);
    let lost = r#"pipewright_log_dropped_bytes_total{reason="removed"}"#;
    // An alert on an increase needs the number from the start.
    assert_eq!(metrics(&served)[lost], 0.0);
    // No disk and no user can write into a file.
    fs::remove_dir_all(&log_dir).unwrap();
    fs::write(&log_dir, "").unwrap();
    served.create("p", "echo important; exit 3");
    let watched = served.run(&["pipeline", "trigger", "p", "--watch"]);
    assert_eq!(watched.code, Some(1), "{watched:?}");
    let missing = "10 bytes of its log are missing: the service could not store them";
    assert!(watched.stdout.contains(missing), "{watched:?}");
    let gap = "10 bytes of the log are missing from offset 0: the service could not store them";
    assert!(watched.stderr.contains(gap), "{watched:?}");
    let jobs = served.run(&["job", "list", "-o", "json"]).json();
    let job = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
    assert!(served.run(&["job", "get", &job]).ok().contains(missing));
    let shown = served.run(&["job", "get", &job, "-o", "json"]).json();
    assert_eq!(shown["stageRuns"][0]["logLoss"]["notStoredBytes"], "10");
    let log = served.run(&["job", "log", &job, "s"]);
    assert_eq!((log.code, &*log.stdout), (Some(0), ""));
    assert!(log.stderr.contains(gap), "{log:?}");
    let log = served.run(&["job", "log", &job, "s", "-o", "json"]).ok();
    assert!(log.contains("REASON_NOT_STORED"), "{log}");
    assert_eq!(metrics(&served)[lost], 10.0);
    let warning = served.process.until_stderr("log bytes could not be stored");
    assert!(
        warning.contains("removed") && warning.contains(&job),
        "{warning}"
    );
    // The next loss is counted, and its log line is throttled.
    served.run(&["pipeline", "trigger", "p", "--watch"]);
    assert_eq!(metrics(&served)[lost], 20.0);
    served.process.signal(rustix::process::Signal::TERM);
    let rest = served.process.finish().stderr;
    assert!(!rest.contains("could not be stored"), "{rest}");
}
