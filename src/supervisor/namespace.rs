//! A PID namespace a stage. Its init supervises from inside; this process waits
//! outside until the kernel has let go of the last process in it.

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

/// Runs `body` as the init of a new namespace, with a stream that closes when this
/// process is gone. Answers when nothing in the namespace is left; `None` if init was
/// killed from outside.
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
    // The kernel kills what is left when init ends, and gives its status out only then.
    while system::reap(WaitPidFlag::empty()).is_ok() {}
    match line.is_empty() {
        true => Ok(None),
        false => Ok(Some(serde_json::from_str(&line)?)),
    }
}

fn be_init(mut parent: UnixStream, body: impl FnOnce(UnixStream) -> Report) -> ! {
    let supervised = || {
        own_proc()?;
        Ok::<_, io::Error>(body(parent.try_clone()?))
    };
    let report = supervised().unwrap_or_else(|error| Report::NotStarted(error.to_string()));
    // In one piece, as it would be two dozen system calls otherwise. A parent that is
    // gone needs no answer.
    let _ = serde_json::to_vec(&report).map(|line| parent.write_all(&line));
    process::exit(0)
}

/// Mounts a /proc that shows this namespace, seen by nobody outside.
fn own_proc() -> nix::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, NONE)
}

/// Kills everything in the namespace but its init, which has to be the caller.
pub(super) fn kill_all() {
    // Every process that this one may signal, itself excepted; fails if there is none.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}
