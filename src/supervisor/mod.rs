//! The supervisor: a separate process for each stage. It ensures that no process that the
//! stage's command starts outlives the stage.
//!
//! The supervisor is this binary, started again. It uses little memory, because [`dispatch`]
//! runs before any runtime or thread is started. The runner communicates with it over two
//! pipes, in the messages of `protocol`. When the runner's end closes, for any reason, the
//! supervisor kills the command and exits. `stage` supervises the command. Each [`Mode`] has
//! a way to find every process of it: `namespace`, `descendants`, or only the process group.

mod cgroup;
mod clock;
mod command;
mod control;
#[cfg(target_os = "linux")]
mod descendants;
mod events;
mod hierarchy;
#[cfg(target_os = "linux")]
mod namespace;
mod probe;
mod protocol;
mod serve;
mod stage;
mod system;
#[cfg_attr(target_os = "linux", path = "wake_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "wake_portable.rs")]
mod wake;

use std::{env, process::ExitCode};

pub use clock::Clock;
pub use protocol::{
    CgroupVersion, Command, Cut, Ended, Findings, Limits, Mode, Order, Report, Spec, Task,
};

/// The first argument that makes this binary a supervisor.
pub const ARGUMENT: &str = "supervise-stage";

/// Supervises a stage if this process was started for that, and returns its exit code. It
/// must be called before any thread is started, because it forks.
pub fn dispatch() -> Option<ExitCode> {
    let wanted = env::args_os().nth(1).is_some_and(|first| first == ARGUMENT);
    wanted.then(|| match serve::serve() {
        Ok(()) => ExitCode::SUCCESS,
        // The runner is gone; the exit code is only for diagnosis.
        Err(_) => ExitCode::FAILURE,
    })
}
