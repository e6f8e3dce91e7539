//! Commands that refuse to end, or exhaust resources. In each guard mode that the
//! machine offers they are over at grace + 2 s, leave no process, and affect only
//! their own job.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    binary::{Served, gate},
    offered::offered,
    processes::living,
};

const GRACE: Duration = Duration::from_secs(1);
/// Time that the end may take beyond the grace.
const MARGIN: Duration = Duration::from_secs(2);

/// The guard modes that work on this machine.
fn modes() -> Vec<String> {
    let modes = offered().into_iter().map(|(guard, _)| guard.to_string());
    modes.collect()
}

const COMMANDS: [(&str, &str); 8] = [
    ("setsid", "setsid sleep 999 & "),
    ("double-fork", "( ( setsid sleep 999 & ) & ) "),
    ("nohup", "nohup sleep 999 >/dev/null 2>&1 & "),
    (
        "ignores-term",
        "trap '' TERM; sh -c \"trap '' TERM; sleep 999\" & ",
    ),
    ("stopped", "sleep 999 & kill -STOP $! "),
    ("closed", "exec >/dev/null 2>&1; setsid sleep 999 & "),
    (
        "holds-pipe",
        "setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' & ",
    ),
    ("group-of-its-own", "set -m; sleep 999 & set +m "),
];

#[test]
fn no_process_of_a_stage_outlives_it_however_it_ends() {
    for mode in &modes() {
        let served = Served::start(&["--guard", mode, "--kill-grace", "1s", "--workers", "8"]);
        let mark = format!("{mode}-{}", served.address);
        let variables = serde_json::json!({ "MARK": mark, "READY": served.path("ready") });
        gate(&served.path("ready"));
        for (name, command) in COMMANDS {
            for (end, then) in [
                ("ends", ""),
                (
                    "is-cancelled",
                    "\necho >\"$READY\"; while :; do sleep 999; done",
                ),
            ] {
                let pipeline = format!("{name}-{end}");
                let stage =
                    serde_json::json!({ "name": "s", "command": format!("{command}{then}") });
                let data = serde_json::json!({
                    "name": pipeline, "variables": variables, "stages": [stage],
                });
                let data = data.to_string();
                served.run(&["pipeline", "create", "--data", &data]).ok();
                let job = served.trigger(&pipeline);
                if end == "is-cancelled" {
                    fs::read(served.path("ready")).unwrap();
                    assert!(!living(&mark).is_empty(), "{mode} {pipeline}: it runs");
                    served.run(&["job", "cancel", &job]).ok();
                }
                let asked = Instant::now();
                served.run(&["job", "watch", &job]);
                let left = living(&mark);
                assert!(left.is_empty(), "{mode} {pipeline}: {left:?} are left");
                let took = asked.elapsed();
                assert!(took <= GRACE + MARGIN, "{mode} {pipeline}: took {took:?}");
            }
        }
    }
}

/// What `serve` printed about its guards, and a harmless check from inside whether
/// the limits are in force.
fn limits(served: &Served) -> bool {
    let command = "for g in pids memory; do \
         p=$(sed -n \"s,^[0-9]*:$g:,,p\" /proc/self/cgroup); \
         [ -z \"$p\" ] || cat /sys/fs/cgroup/$g$p/pids.max /sys/fs/cgroup/$g$p/memory.limit_in_bytes || true; \
         done 2>/dev/null; \
         p=/sys/fs/cgroup$(sed -n 's,^0::,,p' /proc/self/cgroup); \
         cat $p/pids.max $p/memory.max 2>/dev/null || true";
    served.create("look", command);
    let said = served.run(&["pipeline", "trigger", "look", "--watch"]).ok();
    ["[s] 64", "[s] 134217728"]
        .iter()
        .all(|limit| said.lines().any(|line| line.trim() == *limit))
}

#[test]
fn a_stage_that_exhausts_resources_ends_alone() {
    for mode in &modes() {
        let mut served = Served::start(&[
            "--guard",
            mode,
            "--kill-grace",
            "1s",
            "--max-stage-processes",
            "64",
            "--max-stage-memory",
            "128MiB",
        ]);
        if !limits(&served) {
            // Nothing hostile runs without a limit; but then `serve` has said so.
            assert!(served.said.contains("not limited"), "{}", served.said);
            println!("{mode}: no limits here, nothing hostile was run");
            continue;
        }
        let mark = format!("{mode}-{}", served.address);
        for (name, command) in [
            ("fork-bomb", "f() { f | f & }; f; sleep 5; exit 1"),
            ("memory", "head -c 21474836480 /dev/zero | tail"),
        ] {
            let data = serde_json::json!({
                "name": name,
                "variables": { "MARK": mark },
                "stages": [{ "name": "s", "command": command, "timeout": 3 }],
            });
            let data = data.to_string();
            served.run(&["pipeline", "create", "--data", &data]).ok();
            let ran = served.run(&["pipeline", "trigger", name, "--watch"]);
            assert_eq!(ran.code, Some(1), "{mode} {name}: {ran:?}");
            let left = living(&mark);
            assert!(left.is_empty(), "{mode} {name}: {left:?} are left");
        }
        // All other jobs still work.
        served.create("after", "echo well");
        let ran = served
            .run(&["pipeline", "trigger", "after", "--watch"])
            .ok();
        assert!(ran.contains("[s] well"), "{ran}");
        served.process.signal(rustix::process::Signal::TERM);
        assert_eq!(served.process.wait().code(), Some(0));
    }
}
