//! The two system calls that no safe function covers.
#![expect(
    unsafe_code,
    reason = "fork is unsafe, and the safe waitpid fails on what it has no name for"
)]

use nix::{
    errno::Errno,
    libc,
    sys::wait::WaitPidFlag,
    unistd::{self, ForkResult, Pid},
};

/// Forks. The child may run any code, for the supervisor has one thread as long as it
/// forks.
pub(super) fn fork() -> nix::Result<ForkResult> {
    // SAFETY: `dispatch` comes before any other thread, and the supervisor starts none
    // before its last fork: no lock can be held by a thread that the child lacks.
    unsafe { unistd::fork() }
}

/// Reaps an ended child, and answers with its raw status; `None` if no child has ended
/// and `flags` say not to wait.
///
/// # Errors
/// `ECHILD`: there is no child.
pub(super) fn reap(flags: WaitPidFlag) -> nix::Result<Option<(Pid, i32)>> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for the write, and the call keeps nothing of it.
        // nix's own reaps a child that a real-time signal killed and then loses it.
        match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, flags.bits()) }) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((Pid::from_raw(pid), status))),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}
