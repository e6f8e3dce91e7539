//! A terminal that goes away, and SIGHUP without one.

use std::{
    env,
    ffi::OsStr,
    fs::{self, OpenOptions},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    process::{Signal, setsid},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::{
    binary::{Running, gate, pipewright},
    processes::living,
};

/// Path of the terminal that this process takes as controlling terminal.
const TERMINAL: &str = "TAKE_TERMINAL";
/// Arguments of the command that it then executes, one per line.
const BECOME: &str = "BECOME_PIPEWRIGHT";

/// Not a test by itself: the process that another test starts, so that `pipewright` leads
/// the session of a terminal.
#[test]
fn takes_a_terminal() {
    let (Some(terminal), Ok(arguments)) = (env::var_os(TERMINAL), env::var(BECOME)) else {
        return;
    };
    setsid().unwrap();
    let open = || OpenOptions::new().read(true).write(true).open(&terminal);
    let terminal = open().unwrap();
    let arguments: Vec<&str> = arguments.lines().collect();
    let error = pipewright(&arguments).stdin(terminal).exec();
    panic!("{error}");
}

/// Starts the binary in a terminal; returns the other end of the terminal.
fn start_in_terminal(arguments: &[&str], temporary: &Path) -> (Running, OwnedFd) {
    let controller =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let terminal = ptsname(&controller, Vec::new()).unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "terminal::takes_a_terminal", "--nocapture"])
        .env(TERMINAL, OsStr::from_bytes(terminal.as_bytes()))
        .env(BECOME, arguments.join("\n"))
        .env("TMPDIR", temporary)
        .stdin(Stdio::null());
    (Running::start(&mut command), controller)
}

/// A pipeline whose command says `ready` and then waits for a gate, in a file.
fn waiting(directory: &Path) -> String {
    let never = directory.join("gate");
    gate(&never);
    let command = format!("echo ready; cat {}", never.display());
    let stage = serde_json::json!({ "name": "s", "command": command });
    let pipeline = serde_json::json!({ "name": "p", "stages": [stage] });
    let file = directory.join("p.json");
    fs::write(&file, pipeline.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

fn temporary(directory: &Path) -> std::path::PathBuf {
    let temporary = directory.join("tmp");
    fs::create_dir(&temporary).unwrap();
    temporary
}

fn assert_nothing_is_left(temporary: &Path) {
    assert_eq!(living(temporary.to_str().unwrap()), []);
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn a_run_whose_terminal_goes_away_cancels_its_job_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = temporary(directory.path());
    let file = waiting(directory.path());
    for arguments in [&["run", &file][..], &["run", "--clean", &file]] {
        let (mut running, terminal) = start_in_terminal(arguments, &temporary);
        running.until_stdout("ready");
        drop(terminal);
        let ran = running.finish();
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert_nothing_is_left(&temporary);
    }
}

#[test]
fn a_service_whose_terminal_goes_away_stops() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = temporary(directory.path());
    let arguments = ["serve", "--listen", "127.0.0.1:0"];
    let (mut running, terminal) = start_in_terminal(&arguments, &temporary);
    running.until_stderr("listening");
    // The terminal is still open: SIGHUP requests a reload.
    running.signal(Signal::HUP);
    running.until_stderr("reading credentials");
    drop(terminal);
    let ran = running.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_nothing_is_left(&temporary);
}

#[test]
fn sighup_cancels_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = temporary(directory.path());
    let file = waiting(directory.path());
    for arguments in [&["run", &file][..], &["run", "--clean", &file]] {
        let mut command = pipewright(arguments);
        let mut running = Running::start(command.env("TMPDIR", &temporary));
        running.until_stdout("ready");
        running.signal(Signal::HUP);
        let ran = running.finish();
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert_nothing_is_left(&temporary);
    }
}

/// As `nohup` starts it.
#[test]
#[cfg(target_os = "linux")]
fn sighup_that_was_ignored_stays_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let file = waiting(directory.path());
    let mut command = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_pipewright");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", binary, "run", &file]);
    let mut running = Running::start(command.stdin(Stdio::null()));
    running.until_stdout("ready");
    running.signal(Signal::HUP);
    fs::write(directory.path().join("gate"), "gone on\n").unwrap();
    let ran = running.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("gone on"), "{ran:?}");
}

#[test]
fn the_next_start_removes_what_a_killed_one_left() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = temporary(directory.path());
    let file = waiting(directory.path());
    for arguments in [&["run", &file][..], &["run", "--clean", &file]] {
        let mut command = pipewright(arguments);
        let mut running = Running::start(command.env("TMPDIR", &temporary));
        running.until_stdout("ready");
        running.signal(Signal::KILL);
        running.wait();
        drop(running);
    }
    while !living(temporary.to_str().unwrap()).is_empty() {
        std::thread::yield_now();
    }
    assert!(fs::read_dir(&temporary).unwrap().count() >= 2);
    let mut next = pipewright(&["run", "examples/hello.yaml"]);
    let ran = next.env("TMPDIR", &temporary).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert_nothing_is_left(&temporary);
}

#[test]
fn concurrent_runs_leave_each_others_directories_alone() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = temporary(directory.path());
    let file = waiting(directory.path());
    let mut command = pipewright(&["run", "--clean", &file]);
    let mut first = Running::start(command.env("TMPDIR", &temporary));
    first.until_stdout("ready");
    let mut second = pipewright(&["run", "examples/hello.yaml"]);
    let ran = second.env("TMPDIR", &temporary).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(fs::read_dir(&temporary).unwrap().count() >= 1);
    fs::write(directory.path().join("gate"), "gone on\n").unwrap();
    let ran = first.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_nothing_is_left(&temporary);
}
