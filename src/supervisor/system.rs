//! System calls without a safe wrapper.
#![expect(
    unsafe_code,
    reason = "fork is unsafe, the safe waitpid fails on statuses that it does not know, and \
              there is no safe close_range"
)]

use nix::{
    errno::Errno,
    libc,
    sys::wait::WaitPidFlag,
    unistd::{self, ForkResult, Pid},
};

/// Forks. The child may run any code, because the supervisor has only one thread when it
/// forks.
pub(super) fn fork() -> nix::Result<ForkResult> {
    // SAFETY: `dispatch` runs before any other thread is started, and the supervisor starts
    // none before its last fork. So no lock can be held by a thread that the child lacks.
    unsafe { unistd::fork() }
}

/// Sets close-on-exec for descriptors that the service inherited, so that the command does
/// not inherit them.
#[cfg(target_os = "linux")]
pub(super) fn close_inherited_on_exec() {
    // SAFETY: no descriptor is closed now, so none becomes invalid for its owner.
    // Fails on kernels before 5.11: there the command inherits what the service inherited.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, CLOSE_ON_EXEC) };
}

#[cfg(target_os = "linux")]
const CLOSE_ON_EXEC: libc::c_int = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
pub(super) fn close_inherited_on_exec() {}

/// Reaps an ended child and returns its raw status; `None` if no child has ended and `flags`
/// have `WNOHANG`.
///
/// # Errors
/// `ECHILD` if there is no child.
pub(super) fn reap(flags: WaitPidFlag) -> nix::Result<Option<(Pid, i32)>> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for the write, and the call does not keep the pointer.
        // nix's waitpid reaps a child that a real-time signal killed, but returns an error
        // without its status.
        match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, flags.bits()) }) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((Pid::from_raw(pid), status))),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}
