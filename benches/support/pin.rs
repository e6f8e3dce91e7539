//! Pins server and load to a processor each, so that they do not compete.

use std::{sync::OnceLock, thread};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

struct Cores {
    all: CpuSet,
    server: usize,
}

/// Unset if there is no core for each.
static CORES: OnceLock<Cores> = OnceLock::new();

/// Pins this process to the load's core; child processes inherit that. Returns a description
/// of the result.
pub(crate) fn begin() -> String {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    let cores: Vec<_> = (0..CpuSet::count())
        .filter(|core| allowed.is_set(*core).unwrap_or(false))
        .collect();
    let [server, load, ..] = cores[..] else {
        return "not pinned: there are no two cores, so take no ratio for true".to_owned();
    };
    match set(load) {
        Ok(()) => {
            let _ = CORES.set(Cores {
                all: allowed,
                server,
            });
            format!("server on core {server}, load on core {load}")
        }
        Err(error) => format!("not pinned: {error}"),
    }
}

/// Runs a function that starts a server, so that the server is on its core.
pub(crate) fn server<T>(start: impl FnOnce() -> T + Send) -> T
where
    T: Send,
{
    let Some(cores) = CORES.get() else {
        return start();
    };
    // A new thread: a thread of a runtime could switch to other work in between.
    thread::scope(|scope| {
        let started = scope.spawn(|| {
            set(cores.server).unwrap();
            start()
        });
        started.join().unwrap()
    })
}

/// Runs a function with all cores: for a server that starts commands, or its baseline.
pub(crate) fn nowhere<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let Some(cores) = CORES.get() else {
        return act();
    };
    thread::scope(|scope| {
        let acting = scope.spawn(|| {
            sched_setaffinity(Pid::from_raw(0), &cores.all).unwrap();
            act()
        });
        acting.join().unwrap()
    })
}

/// Applies to the calling thread and its children.
fn set(core: usize) -> nix::Result<()> {
    let mut only = CpuSet::new();
    only.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &only)
}
