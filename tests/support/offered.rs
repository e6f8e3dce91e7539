//! The guards that work on this machine, determined by trying them.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use pipewright::{
    config::Guard,
    supervisor::{self, Findings, Limits, Mode, Task},
};

pub(crate) fn probe(mode: Option<Mode>, limits: Limits) -> Findings {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .arg(supervisor::ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = serde_json::to_vec(&Task::Probe { mode, limits }).unwrap();
    line.push(b'\n');
    child.stdin.take().unwrap().write_all(&line).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

/// The guards that work here.
pub(crate) fn offered() -> Vec<(Guard, Mode)> {
    let guards = [
        (Guard::PidNamespace, Mode::PidNamespace),
        (Guard::Subreaper, Mode::Subreaper),
    ];
    let works = |mode| probe(Some(mode), Limits::default()).mode.is_ok();
    guards
        .into_iter()
        .filter(|(_, mode)| works(*mode))
        .inspect(|(guard, _)| println!("tried with the guard {guard}"))
        .collect()
}
