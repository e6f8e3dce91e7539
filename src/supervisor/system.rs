//! The system calls that no safe function covers.
#![expect(
    unsafe_code,
    reason = "fork is unsafe, the safe waitpid fails on what it has no name for, and nothing \
              else closes descriptors of which only the number is known"
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

/// Keeps from the command what somebody left open in the service before it started.
#[cfg(target_os = "linux")]
pub(super) fn close_inherited_on_exec() {
    // SAFETY: nothing is closed now, so no descriptor becomes invalid for its owner.
    // Fails on kernels before 5.11, where the command sees what the service inherited.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, CLOSE_ON_EXEC) };
}

#[cfg(target_os = "linux")]
const CLOSE_ON_EXEC: libc::c_int = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;

/// There is no such call elsewhere.
#[cfg(not(target_os = "linux"))]
pub(super) fn close_inherited_on_exec() {}

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
