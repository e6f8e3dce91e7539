//! `pipewright serve` and `pipewright health`.

use std::{collections::HashSet, fs, process::Command};

use rustix::process::Signal;

use crate::{
    binary::{Running, Served, assert_shown, pipewright, run},
    processes::living,
};

#[test]
fn a_service_reports_its_start_and_ends_cleanly_on_each_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut served = Served::start(&[]);
        assert_eq!(served.run(&["health"]).ok(), "SERVING\n");
        let started = served.path("started");
        let command = format!("touch {}; exec sleep 1000", started.display());
        served.create("p", &command);
        served.trigger("p");
        while !started.exists() {
            std::thread::yield_now();
        }
        served.process.signal(signal);
        assert_eq!(served.process.wait().code(), Some(0));
        assert_eq!(living(served.directory.path().to_str().unwrap()), []);
        let refused = served.run(&["health"]);
        assert_eq!(refused.code, Some(7));
        if signal == Signal::TERM {
            assert_shown!(refused.shown());
        }
    }
}

#[test]
fn a_service_that_is_killed_leaves_no_process_of_a_stage() {
    for guard in ["auto", "subreaper"] {
        let mut served = Served::start(&["--guard", guard]);
        assert!(
            served.said.contains("stages are guarded: "),
            "{}",
            served.said
        );
        let started = served.path("started");
        let command = format!(
            "trap '' TERM; (setsid sh -c 'touch {}; sleep 999; :' &); while :; do sleep 1 || :; done",
            started.display()
        );
        served.create("p", &command);
        served.trigger("p");
        while !started.exists() {
            std::thread::yield_now();
        }
        served.process.signal(Signal::KILL);
        served.process.wait();
        while !living(served.directory.path().to_str().unwrap()).is_empty() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_non_loopback_address_is_refused_without_insecure() {
    assert_shown!(run(&["serve", "--listen", "0.0.0.0:0"]).shown());
}

#[test]
fn an_address_in_use_is_reported() {
    let served = Served::start(&[]);
    let ran = run(&["serve", "--listen", &served.address.to_string()]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(ran.stderr.contains(&served.address.to_string()), "{ran:?}");
}

#[test]
fn unusable_directories_are_reported_before_serving() {
    for flag in ["--log-dir", "--workspace-dir"] {
        let ran = run(&["serve", "--listen", "127.0.0.1:0", flag, "/dev/null/x"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("/dev/null/x"), "{ran:?}");
        assert!(!ran.stderr.contains("listening"), "{ran:?}");
    }
}

#[test]
fn a_low_limit_of_open_files_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let binary = pipewright(&[]);
    let mut command = Command::new("/bin/sh");
    command
        .args([
            "-c",
            "ulimit -n 512; exec \"$0\" serve --listen 127.0.0.1:0",
        ])
        .arg(binary.get_program())
        .env("TMPDIR", directory.path());
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut process = Running::start(&mut command);
    process
        .until_stderr("the limit of open files (ulimit -Hn) is lower than max_connections needs");
}

#[test]
fn logs_and_workspaces_go_to_the_configured_directories() {
    let logs = tempfile::tempdir().unwrap();
    let workspaces = tempfile::tempdir().unwrap();
    let served = Served::start(&[
        "--log-dir",
        logs.path().to_str().unwrap(),
        "--workspace-dir",
        workspaces.path().to_str().unwrap(),
        "--keep-workspaces",
    ]);
    served.create("p", "echo hello; echo made > made");
    served.run(&["pipeline", "trigger", "p", "--watch"]).ok();
    let jobs: HashSet<_> = fs::read_dir(logs.path())
        .unwrap()
        .map(|job| job.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    assert_eq!(jobs.len(), 1);
    let run = jobs.iter().next().unwrap().join("0-1");
    let log = run.join("00000000000000000000.log");
    assert_eq!(fs::read_to_string(log).unwrap(), "hello\n");
    let kept: Vec<_> = fs::read_dir(workspaces.path()).unwrap().collect();
    assert_eq!(kept.len(), 1);
    let made = kept[0].as_ref().unwrap().path().join("src/made");
    assert_eq!(fs::read_to_string(made).unwrap(), "made\n");
}

#[test]
fn without_its_runner_a_service_only_queues() {
    let served = Served::start(&["--no-embedded-runner"]);
    served.create("p", "true");
    let job = served.trigger("p");
    assert_shown!(served.run(&["job", "get", &job]).shown());
}
