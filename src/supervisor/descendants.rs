//! Finds and kills the descendants of this process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, process,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Kills every descendant that is found. New ones may be forked meanwhile, so the caller
/// repeats this until none is left.
pub(super) fn kill_all() {
    let mut stopped = BTreeSet::new();
    // Stop them first: otherwise they could fork faster than they are found.
    loop {
        let new: Vec<i32> = living().difference(&stopped).copied().collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            signal(pid, Signal::SIGSTOP);
            stopped.insert(pid);
        }
    }
    for pid in stopped {
        signal(pid, Signal::SIGKILL);
    }
}

fn signal(pid: i32, signal: Signal) {
    // Fails if the process is gone, or belongs to another user; then only that user can end it.
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Descendants of this process that are not zombies.
fn living() -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in processes() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = BTreeSet::new();
    let mut parents = vec![process::id().cast_signed()];
    while let Some(parent) = parents.pop() {
        for process in children.remove(&parent).into_iter().flatten() {
            parents.push(process.pid);
            if !process.is_zombie {
                found.insert(process.pid);
            }
        }
    }
    found
}

struct Process {
    pid: i32,
    parent: i32,
    is_zombie: bool,
}

fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read(entry.path().join("stat")).ok()?;
        parse(pid, &stat)
    })
}

/// Parses `pid (name) state parent …`; the name may have any bytes, including parentheses.
fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(&stat[name_end + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Process {
        pid,
        is_zombie: matches!(fields.next()?, "Z" | "X"),
        parent: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_have_any_bytes() {
        let process = parse(7, b"7 (a) Z 1 (\xff) S 42 7 7 0 -1").unwrap();
        assert_eq!((process.parent, process.is_zombie), (42, false));
        assert!(parse(7, b"7 (sh) Z 1 7 7").unwrap().is_zombie);
        assert!(parse(7, b"").is_none());
    }
}
