//! Starts commands without the service: with its supervisor, driven as the runner does, and
//! with the shell alone.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, PipeReader, Read, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use pipewright::{
    config::Supervision,
    supervisor::{self, Clock, Findings, Limits, Mode, Report, Spec, Task},
};
use serde::Serialize;
use tempfile::TempDir;

use crate::server::binary;

/// The guards of a service with its default settings, and a script to run under them.
pub(crate) struct Raw {
    mode: Mode,
    limits: Limits,
    directory: TempDir,
}

impl Raw {
    /// Finds the guards as the runner does: with a supervisor's probe.
    pub(crate) fn running(script: &str) -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("script"), script).unwrap();
        let processes = Supervision::default().max_processes;
        let wanted = Limits {
            processes: Some(processes),
            memory: None,
        };
        let probe = Task::Probe {
            mode: None,
            limits: wanted,
        };
        let (mut child, _output) = start(&probe);
        let findings = child.stdout.take().unwrap();
        let findings: Findings = serde_json::from_reader(findings).unwrap();
        child.wait().unwrap();
        let limited = matches!(findings.processes, Some(Ok(_)));
        Self {
            mode: findings.mode.unwrap(),
            limits: Limits {
                processes: limited.then_some(processes),
                memory: None,
            },
            directory,
        }
    }

    /// A description of the guards.
    pub(crate) fn guards(&self) -> String {
        let limit = self.limits.processes.map_or("no limit", |_| "a limit");
        format!("guards: {:?}, {limit} of processes", self.mode)
    }

    /// Runs supervisor, shell and script, and waits for the end of all of them.
    pub(crate) fn supervised(&self) {
        let spec = Spec {
            mode: self.mode,
            command: supervisor::Command {
                program: "/bin/sh".into(),
                args: vec!["-e".into(), self.script().into()],
                directory: self.directory.path().into(),
                environment: environment(),
            },
            grace: Duration::from_secs(10),
            clock: Clock::Awake,
            deadline: None,
            limits: self.limits,
        };
        let (mut child, output) = start(&Task::Run(Box::new(spec)));
        let reports = BufReader::new(child.stdout.take().unwrap());
        let ended = reports.lines().any(|line| {
            let report = serde_json::from_str(&line.unwrap()).unwrap();
            matches!(report, Report::Ended(ended) if ended.status == 0)
        });
        assert!(ended, "the script ended well");
        child.wait().unwrap();
        drain(output);
    }

    /// Runs shell and script.
    pub(crate) fn plain(&self) {
        let (output, writer) = io::pipe().unwrap();
        let mut command = Command::new("/bin/sh");
        command.arg("-e").arg(self.script());
        command.current_dir(self.directory.path());
        command.env_clear().envs(environment()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(writer).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        // Otherwise this process would keep the writing end of the output open.
        drop(command);
        drain(output);
    }

    fn script(&self) -> PathBuf {
        self.directory.path().join("script")
    }
}

/// Runs `act` this many times, `at_once` of them concurrently.
pub(crate) fn repeat(times: usize, at_once: usize, act: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| (0..times / at_once).for_each(|_| act()));
        }
    });
}

/// Starts a supervisor, as the runner does, and gives it its task.
fn start(task: &impl Serialize) -> (Child, PipeReader) {
    let (output, writer) = io::pipe().unwrap();
    let mut command = Command::new(binary());
    command.arg(supervisor::ARGUMENT).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(writer).process_group(0).spawn().unwrap();
    let mut line = serde_json::to_vec(task).unwrap();
    line.push(b'\n');
    // `child` keeps it open: the supervisor kills the command when it closes.
    child.stdin.as_mut().unwrap().write_all(&line).unwrap();
    (child, output)
}

fn drain(mut output: PipeReader) {
    let mut said = Vec::new();
    output.read_to_end(&mut said).unwrap();
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

fn environment() -> Vec<(OsString, OsString)> {
    vec![("PATH".into(), std::env::var_os("PATH").unwrap())]
}
