//! Finds processes by a text that only they carry. PIDs do not help: inside a PID
//! namespace a command sees other PIDs than the outside.

use std::{fs, path::PathBuf};

/// The living processes that have `marker` in an argument or a variable, with their
/// arguments. Zombies have neither.
pub(crate) fn living(marker: &str) -> Vec<(i32, String)> {
    let processes = fs::read_dir("/proc").unwrap();
    let numbers = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let marked = |pid: &i32| {
        let carries = |file| String::from_utf8_lossy(&read(*pid, file)).contains(marker);
        carries("cmdline") || carries("environ")
    };
    numbers
        .filter(marked)
        .map(|pid| (pid, shown(&read(pid, "cmdline"))))
        .collect()
}

/// A file of a process in /proc; empty if the process is gone.
fn read(pid: i32, file: &str) -> Vec<u8> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    fs::read(process.join(file)).unwrap_or_default()
}

fn shown(cmdline: &[u8]) -> String {
    String::from_utf8_lossy(cmdline).replace('\0', " ")
}
