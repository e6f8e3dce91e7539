//! The supervisor alone; the test acts as its runner.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use pipewright::supervisor::{self, Clock, Cut, Ended, Limits, Mode, Order, Report, Spec, Task};
use tempfile::TempDir;

use crate::{offered::offered, processes::living};

/// Never waited for.
const GRACE: Duration = Duration::from_secs(300);
const SECOND: u64 = 1_000_000_000;

/// A command that ignores SIGTERM and has a daemon, both running.
struct Supervised {
    child: Child,
    control: Option<ChildStdin>,
    directory: TempDir,
}

impl Supervised {
    fn start(mode: Mode, deadline: Option<(Clock, u64)>) -> Self {
        let directory = TempDir::new().unwrap();
        let fifo = directory.path().join("up");
        let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let mut child = Command::new(env!("CARGO_BIN_EXE_pipewright"))
            .arg(supervisor::ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut supervised = Self {
            control: child.stdin.take(),
            child,
            directory,
        };
        let spec = spec(mode, &fifo, deadline);
        supervised.say(&Task::Run(Box::new(spec)));
        assert_eq!(std::fs::read_to_string(fifo).unwrap(), "up\n");
        supervised
    }

    fn say(&mut self, message: &impl serde::Serialize) {
        let mut line = serde_json::to_vec(message).unwrap();
        line.push(b'\n');
        self.control.as_mut().unwrap().write_all(&line).unwrap();
    }

    /// Waits for the end; no process may be left then.
    fn ended(mut self) -> Ended {
        let reports = BufReader::new(self.child.stdout.take().unwrap());
        let ended =
            reports
                .lines()
                .find_map(|line| match serde_json::from_str(&line.unwrap()).unwrap() {
                    Report::Ended(ended) => Some(ended),
                    Report::Started { .. } => None,
                    Report::NotStarted(reason) => panic!("{reason}"),
                });
        assert_eq!(living(self.directory.path().to_str().unwrap()), []);
        self.child.wait().unwrap();
        ended.unwrap()
    }
}

fn spec(mode: Mode, fifo: &Path, deadline: Option<(Clock, u64)>) -> Spec {
    let script = "trap '' TERM; setsid sh -c 'echo up >\"$FIFO\"; sleep 999; :' & \
                  while :; do sleep 1 || :; done";
    let environment = [
        ("PATH".into(), std::env::var_os("PATH").unwrap()),
        ("FIFO".into(), fifo.into()),
    ];
    Spec {
        mode,
        command: supervisor::Command {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            directory: "/".into(),
            environment: environment.into(),
        },
        grace: GRACE,
        clock: deadline.map_or(Clock::Wall, |(clock, _)| clock),
        deadline: deadline.map(|(_, deadline)| deadline),
        limits: Limits::default(),
    }
}

#[test]
fn a_deadline_kills_without_grace_whatever_the_runner_does() {
    for (_, mode) in offered() {
        for clock in [Clock::Wall, Clock::Awake] {
            let supervised = Supervised::start(mode, Some((clock, clock.now() + SECOND)));
            let ended = supervised.ended();
            let result = (ended.status, ended.cut);
            assert_eq!(result, (9, Some(Cut::Deadline)), "{mode:?} {clock:?}");
        }
    }
}

#[test]
fn a_deadline_may_be_moved_even_while_the_command_is_to_end() {
    for (_, mode) in offered() {
        let mut supervised =
            Supervised::start(mode, Some((Clock::Wall, Clock::Wall.now() + 600 * SECOND)));
        supervised.say(&Order::Deadline(Clock::Wall.now() + 700 * SECOND));
        supervised.say(&Order::Stop);
        supervised.say(&Order::Deadline(Clock::Wall.now()));
        assert_eq!(supervised.ended().cut, Some(Cut::Deadline), "{mode:?}");
    }
}

#[test]
fn a_runner_that_is_gone_or_says_so_ends_everything_immediately() {
    for (_, mode) in offered() {
        let mut supervised = Supervised::start(mode, None);
        supervised.say(&Order::Kill);
        assert_eq!(supervised.ended().cut, Some(Cut::Asked), "{mode:?}");
        let mut supervised = Supervised::start(mode, None);
        supervised.control = None;
        assert_eq!(supervised.ended().cut, Some(Cut::Asked), "{mode:?}");
    }
}
