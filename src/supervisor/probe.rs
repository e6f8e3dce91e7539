//! Finds out which modes and limits work here, by trying them.

use std::{io, process};

use nix::{sys::wait::WaitPidFlag, unistd::ForkResult};

use super::{
    CgroupVersion, Findings, Limits, Mode,
    cgroup::{self, Cgroup},
    hierarchy::Hierarchy,
    system,
};

/// Tries each limit, then the modes.
pub(super) fn probe(mode: Option<Mode>, limits: Limits) -> Findings {
    let processes = limits.processes.map(|most| {
        let limits = Limits {
            processes: Some(most),
            memory: None,
        };
        limited("pids", limits)
    });
    let memory = limits.memory.map(|most| {
        let limits = Limits {
            processes: None,
            memory: Some(most),
        };
        limited("memory", limits)
    });
    Findings {
        // Last: after `unshare`, this process cannot fork children in its own namespace.
        mode: find_mode(mode),
        processes,
        memory,
    }
}

fn limited(controller: &str, limits: Limits) -> Result<CgroupVersion, String> {
    let tried = || -> io::Result<_> {
        let Hierarchy { version, directory } = Hierarchy::of(controller)?;
        cgroup::remove_abandoned(&directory);
        enter_and_leave(&Cgroup::create(limits)?)?;
        Ok(version)
    };
    tried().map_err(|error| error.to_string())
}

/// Enters the group in a child process, because only an empty group can be removed.
fn enter_and_leave(cgroup: &Cgroup) -> io::Result<()> {
    if let ForkResult::Child = system::fork()? {
        process::exit(cgroup.enter().map_or(1, |()| 0));
    }
    match system::reap(WaitPidFlag::empty())? {
        Some((_, 0)) => Ok(()),
        _ => Err(io::Error::other(
            "a process cannot be moved into its cgroup",
        )),
    }
}

#[cfg(target_os = "linux")]
fn find_mode(wanted: Option<Mode>) -> Result<Mode, String> {
    match wanted {
        None => Ok(namespace().unwrap_or(Mode::Subreaper)),
        Some(Mode::PidNamespace) => namespace(),
        Some(mode) => Ok(mode),
    }
}

#[cfg(target_os = "linux")]
fn namespace() -> Result<Mode, String> {
    use super::{Ended, Report};

    let nothing = || {
        Report::Ended(Ended {
            status: 0,
            cut: None,
            out_of_memory: false,
        })
    };
    match super::namespace::run(|_| nothing()) {
        Ok(Some(Report::Ended(_))) => Ok(Mode::PidNamespace),
        Ok(Some(Report::NotStarted(reason))) => Err(reason),
        Ok(_) => Err("its init was killed".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(not(target_os = "linux"))]
fn find_mode(wanted: Option<Mode>) -> Result<Mode, String> {
    match wanted {
        None | Some(Mode::ProcessGroup) => Ok(Mode::ProcessGroup),
        Some(_) => Err("only Linux has it".to_owned()),
    }
}
