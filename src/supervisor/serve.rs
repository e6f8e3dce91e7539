//! Runs the supervisor's task, from the runner's first line to the result.

use std::io;

use nix::sys::signal::SigSet;

use super::{
    Mode, Report, Spec, Task,
    cgroup::Cgroup,
    control::{Control, send},
    probe, stage, system,
};

/// Runs the task in the runner's first line.
///
/// # Errors
/// If the runner is gone, so no result can be sent, or if init was killed, so there is none.
pub(super) fn serve() -> io::Result<()> {
    // Blocked and not ignored, because the command would inherit ignored signals. SIGCHLD
    // stays pending until it is read.
    SigSet::all().thread_block()?;
    system::close_inherited_on_exec();
    let mut control = Control::inherited()?;
    match control.wait()? {
        Task::Probe { mode, limits } => send(&probe::probe(mode, limits)),
        Task::Run(spec) => send(&run(&spec, control)?),
    }
}

fn run(spec: &Spec, control: Control) -> io::Result<Report> {
    let cgroup = match Cgroup::create(spec.limits) {
        Ok(cgroup) => cgroup,
        Err(error) => return Ok(Report::NotStarted(error.to_string())),
    };
    let mut report = match guarded(spec, &cgroup, control) {
        Ok(report) => report.ok_or(io::ErrorKind::BrokenPipe)?,
        Err(error) => Report::NotStarted(error.to_string()),
    };
    if let Report::Ended(ended) = &mut report {
        ended.out_of_memory = cgroup.ran_out_of_memory();
    }
    Ok(report)
}

#[cfg(target_os = "linux")]
fn guarded(spec: &Spec, cgroup: &Cgroup, control: Control) -> io::Result<Option<Report>> {
    match spec.mode {
        Mode::PidNamespace => {
            super::namespace::run(|parent| stage::supervise(spec, cgroup, control, Some(parent)))
        }
        Mode::Subreaper => {
            nix::sys::prctl::set_child_subreaper(true)?;
            Ok(Some(stage::supervise(spec, cgroup, control, None)))
        }
        Mode::ProcessGroup => Ok(Some(stage::supervise(spec, cgroup, control, None))),
    }
}

#[cfg(not(target_os = "linux"))]
fn guarded(spec: &Spec, cgroup: &Cgroup, control: Control) -> io::Result<Option<Report>> {
    match spec.mode {
        Mode::ProcessGroup => Ok(Some(stage::supervise(spec, cgroup, control, None))),
        mode => Err(io::Error::other(format!("{mode:?} is not possible here"))),
    }
}
