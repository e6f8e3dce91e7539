//! A runner that is killed, stopped or cut off: its stage goes to another runner
//! within the lease's lifetime and 5 s, its later writes are rejected, and no
//! process of the first attempt runs on beside the second.

use std::{
    fs,
    net::SocketAddr,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::proxy::Proxy;
use crate::{
    binary::{Running, Served, gate, pipewright},
    processes::living,
};

const TTL: Duration = Duration::from_secs(2);
/// Time that the assignment to another runner may take beyond the lease's lifetime.
const MARGIN: Duration = Duration::from_secs(5);

fn served() -> Served {
    Served::start(&["--no-embedded-runner", "--lease-ttl", "2s"])
}

/// A remote runner with a label of its own.
fn runner(served: &Served, service: SocketAddr, name: &str) -> Running {
    let server = service.to_string();
    let label = format!("only={name}");
    let mut command = pipewright(&["runner", "--server", &server, "--name", name]);
    command
        .args(["--labels", &label])
        .env("TMPDIR", served.directory.path());
    let mut runner = Running::start(&mut command);
    runner.until_stderr("registered");
    runner
}

/// A pipeline whose first attempt opens two pipes and stays, and whose second ends.
fn create(served: &Served) {
    let command = "echo attempt $PIPEWRIGHT_ATTEMPT; \
         [ $PIPEWRIGHT_ATTEMPT = 1 ] || exit 0; \
         trap '' TERM; exec 3>\"$HELD\"; echo started >\"$STARTED\"; \
         while :; do sleep 0.1; echo late; done";
    let data = json!({
        "name": "p",
        "variables": {
            "HELD": served.path("held"),
            "STARTED": served.path("started"),
        },
        "stages": [{ "name": "s", "command": command }],
    });
    gate(&served.path("held"));
    gate(&served.path("started"));
    let data = data.to_string();
    served.run(&["pipeline", "create", "--data", &data]).ok();
}

/// Starts the job on the only runner, and waits until its command runs.
fn started(served: &Served) -> (String, JoinHandle<Vec<u8>>) {
    let job = served.trigger("p");
    let held = served.path("held");
    // Ends when the last process that holds the other end is gone.
    let gone = thread::spawn(move || fs::read(held).unwrap());
    fs::read(served.path("started")).unwrap();
    (job, gone)
}

/// Waits until nothing holds the pipe, no longer than the lease can live.
fn assert_gone_within_the_lease(served: &Served, gone: JoinHandle<Vec<u8>>, fault: SystemTime) {
    gone.join().unwrap();
    let took = fault.elapsed().unwrap();
    assert!(took <= TTL, "the command lived on for {took:?}");
    assert_none_is_left(served);
}

/// All processes of the stage have the path of the pipe in their environment.
fn assert_none_is_left(served: &Served) {
    let held = served.path("held");
    assert_eq!(living(held.to_str().unwrap()), []);
}

fn job(served: &Served, id: &str) -> Value {
    served.run(&["job", "get", id, "-o", "json"]).json()
}

fn ended(served: &Served, id: &str) -> Value {
    served.run(&["job", "watch", id]).ok();
    job(served, id)
}

/// Checks that the second attempt came in time, and that the first was lost.
fn assert_given_to_another(job: &Value, fault: SystemTime) {
    let runs = job["stageRuns"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "{job:#}");
    assert_eq!(runs[0]["failure"]["reason"], "REASON_RUNNER_LOST");
    assert_eq!(runs[1]["state"], "STATE_SUCCEEDED");
    assert_ne!(runs[0]["runnerId"], runs[1]["runnerId"]);
    let start = runs[1]["startTime"].as_str().unwrap();
    let start = humantime::parse_rfc3339(start).unwrap();
    let took = start.duration_since(fault).unwrap();
    assert!(took <= TTL + MARGIN, "given to another after {took:?}");
}

/// The current log of the first attempt.
fn first_log(served: &Served, id: &str) -> String {
    served.run(&["job", "log", id, "s", "--attempt", "1"]).ok()
}

/// Runs a job that only the runner with this name can run, to check that it still
/// works.
fn runs_on(served: &Served, name: &str) {
    let stage = json!({ "name": "s", "command": "true", "runner_labels": { "only": name } });
    let data = json!({ "name": format!("on-{name}"), "stages": [stage] }).to_string();
    served.run(&["pipeline", "create", "--data", &data]).ok();
    let pipeline = format!("on-{name}");
    served
        .run(&["pipeline", "trigger", &pipeline, "--watch"])
        .ok();
}

#[test]
fn a_runner_that_is_killed_loses_its_stage_to_another() {
    let served = served();
    create(&served);
    let first = runner(&served, served.address, "first");
    let (id, gone) = started(&served);
    let _second = runner(&served, served.address, "second");
    let fault = SystemTime::now();
    first.signal(Signal::KILL);
    // Long before the lease expires: the supervisor sees its runner die.
    assert_gone_within_the_lease(&served, gone, fault);
    assert_given_to_another(&ended(&served, &id), fault);
}

#[test]
fn a_runner_that_is_stopped_outlives_its_lease_but_not_its_stage() {
    let served = served();
    create(&served);
    let first = runner(&served, served.address, "first");
    let (id, gone) = started(&served);
    let _second = runner(&served, served.address, "second");
    let fault = SystemTime::now();
    first.signal(Signal::STOP);
    // The supervisor enforces the deadline itself.
    assert_gone_within_the_lease(&served, gone, fault);
    let before = ended(&served, &id);
    assert_given_to_another(&before, fault);
    let log = first_log(&served, &id);
    // Stopped for two lifetimes of a lease, measured by a stage that takes the rest of
    // that time.
    let left = (2 * TTL).saturating_sub(fault.elapsed().unwrap());
    served.create("wait", &format!("sleep {}", left.as_secs_f64()));
    served.run(&["pipeline", "trigger", "wait", "--watch"]).ok();
    first.signal(Signal::CONT);
    // Once it runs another job it has sent everything about the first one.
    runs_on(&served, "first");
    assert_eq!(job(&served, &id), before);
    assert_eq!(first_log(&served, &id), log, "a write was accepted");
}

#[test]
fn a_runner_that_is_cut_off_ends_its_stage_and_reconnects() {
    let served = served();
    create(&served);
    let proxy = Proxy::to(served.address);
    let _first = runner(&served, proxy.address, "first");
    let (id, gone) = started(&served);
    let _second = runner(&served, served.address, "second");
    let fault = SystemTime::now();
    proxy.set_cut(true);
    assert_gone_within_the_lease(&served, gone, fault);
    let before = ended(&served, &id);
    assert_given_to_another(&before, fault);
    let log = first_log(&served, &id);
    proxy.set_cut(false);
    runs_on(&served, "first");
    assert_eq!(job(&served, &id), before);
    assert_eq!(first_log(&served, &id), log, "a write was accepted");
}

#[test]
fn a_service_that_is_killed_takes_its_stages_with_it() {
    let served = Served::start(&[]);
    create(&served);
    let (_, gone) = started(&served);
    served.process.signal(Signal::KILL);
    gone.join().unwrap();
    assert_none_is_left(&served);
}
