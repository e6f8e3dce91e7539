//! What a service tells of itself: numbers, and the traces that its commands go on with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::binary::Served;

/// A page over HTTP/1.1, as a scraper gets it.
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

/// The numbers of a service, by name and labels.
fn numbers(served: &Served) -> BTreeMap<String, f64> {
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
fn metrics_tell_what_happened() {
    let served = Served::start(&[]);
    served.create("p", "echo 12345; exit 3");
    let watched = served.run(&["pipeline", "trigger", "p", "--watch"]);
    assert_eq!(watched.code, Some(1));
    assert_eq!(served.run(&["pipeline", "get", "none"]).code, Some(4));
    let numbers = numbers(&served);
    let at = |name: &str| {
        numbers
            .get(name)
            .copied()
            .unwrap_or_else(|| panic!("{name} of {numbers:#?}"))
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
fn metrics_tell_what_waits_and_who_watches() {
    let served = Served::start(&["--no-embedded-runner"]);
    served.create("p", "true");
    let job = served.trigger("p");
    let mut watch = crate::binary::Running::start(&mut served.command(&["job", "watch", &job]));
    while numbers(&served)["pipewright_watchers"] < 1.0 {
        std::thread::yield_now();
    }
    let before = numbers(&served);
    assert_eq!(before["pipewright_queue_stages"], 1.0);
    assert!(before["pipewright_queue_head_age_seconds"] > 0.0);
    assert_eq!(before[r#"pipewright_runners{state="online"}"#], 0.0);
    served.run(&["job", "cancel", &job]).ok();
    watch.wait();
    while numbers(&served)["pipewright_watchers"] > 0.0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_limit_that_refuses_is_counted() {
    let served = Served::start(&["--max-active-jobs", "1", "--no-embedded-runner"]);
    served.create("p", "true");
    served.trigger("p");
    let refused = served.run(&["pipeline", "trigger", "p"]);
    assert!(refused.stderr.contains("max_active_jobs"), "{refused:?}");
    let refusals = numbers(&served);
    assert!(refusals[r#"pipewright_refusals_total{reason="TOO_MANY_ACTIVE_JOBS"}"#] >= 1.0);
}

/// docs/OPERATIONS.md has a table of the numbers; whoever adds one adds a row.
#[test]
fn the_numbers_are_documented() {
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
fn a_command_goes_on_with_the_trace_of_who_asked_for_it() {
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
