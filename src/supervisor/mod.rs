//! A process of its own for each stage, which sees to it that nothing that the
//! stage's command starts outlives the stage.
//!
//! It is this binary again, small because [`dispatch`] runs before any runtime or
//! thread. The runner speaks to it by two pipes, in the lines of `protocol`; when the
//! runner's end closes, for whatever reason, it kills and ends. What it does is a
//! story of `stage`, on top of a [`Mode`]'s way to find every process:
//! `namespace`, `descendants`, or no more than the process group.

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

/// Supervises a stage if this process was started to do so; the answer is its exit
/// code. Has to be called before any thread is started, for it forks.
pub fn dispatch() -> Option<ExitCode> {
    let wanted = env::args_os().nth(1).is_some_and(|first| first == ARGUMENT);
    wanted.then(|| match serve::serve() {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody listens any more; the code is for who looks at the process.
        Err(_) => ExitCode::FAILURE,
    })
}
