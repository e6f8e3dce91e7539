//! Server and load on a processor each, so that neither takes of the other's.

use std::{sync::OnceLock, thread};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

struct Cores {
    all: CpuSet,
    server: usize,
}

/// Where there is one for each.
static CORES: OnceLock<Cores> = OnceLock::new();

/// Pins this process to the load's core, and says so or why not. What it starts inherits it.
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

/// Does what starts a server, so that the server is on its core.
pub(crate) fn server<T>(start: impl FnOnce() -> T + Send) -> T
where
    T: Send,
{
    let Some(cores) = CORES.get() else {
        return start();
    };
    // A thread of its own: a runtime's could go on to other work in between.
    thread::scope(|scope| {
        let started = scope.spawn(|| {
            set(cores.server).unwrap();
            start()
        });
        started.join().unwrap()
    })
}

/// Does what uses all cores: a server that starts commands, or the same by hand.
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

/// For the calling thread and what it starts.
fn set(core: usize) -> nix::Result<()> {
    let mut only = CpuSet::new();
    only.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &only)
}
