//! A PID namespace for each stage. Its init supervises from inside; this process waits
//! outside until the kernel has removed the last process of the namespace.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        signal::{Signal, kill},
        wait::WaitPidFlag,
    },
    unistd::{ForkResult, Pid},
};

use super::{Report, system};

/// Runs `body` as the init of a new namespace, with a stream that closes when this process
/// ends. Returns when the namespace has no process left; `None` if init was killed from
/// outside.
pub(super) fn run(body: impl FnOnce(UnixStream) -> Report) -> io::Result<Option<Report>> {
    let (mut ours, theirs) = UnixStream::pair()?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    let ForkResult::Parent { .. } = system::fork()? else {
        drop(ours);
        be_init(theirs, body);
    };
    drop(theirs);
    let mut line = String::new();
    ours.read_to_string(&mut line)?;
    // When init ends, the kernel kills the remaining processes, and init can be reaped only
    // after that.
    while system::reap(WaitPidFlag::empty()).is_ok() {}
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

fn be_init(mut parent: UnixStream, body: impl FnOnce(UnixStream) -> Report) -> ! {
    let supervised = || {
        own_proc()?;
        Ok::<_, io::Error>(body(parent.try_clone()?))
    };
    let report = supervised().unwrap_or_else(|error| Report::NotStarted(error.to_string()));
    // Written in one call; otherwise it would take two dozen system calls. If the parent is
    // gone, no report is needed.
    let _ = serde_json::to_vec(&report).map(|line| parent.write_all(&line));
    process::exit(0)
}

/// Mounts a /proc that shows this namespace; the mount is private.
fn own_proc() -> nix::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, NONE)
}

/// Kills all processes of the namespace except its init, which must be the caller.
pub(super) fn kill_all() {
    // -1 means every process that this one may signal, except itself; fails if there is none.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}
