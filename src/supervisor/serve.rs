//! The supervisor's one task, from the runner's first line to the answer.

use std::io;

use nix::sys::signal::SigSet;

use super::{
    Mode, Report, Spec, Task,
    cgroup::Cgroup,
    control::{Control, tell},
    probe, stage, system,
};

/// Does what the runner's first line says.
///
/// # Errors
/// The runner is gone, or init was killed: there is nobody to tell, or nothing.
pub(super) fn serve() -> io::Result<()> {
    // Blocked and not ignored, which the command would inherit. SIGCHLD waits for its reader.
    SigSet::all().thread_block()?;
    system::close_inherited_on_exec();
    let mut control = Control::inherited()?;
    match control.wait()? {
        Task::Probe { mode, limits } => tell(&probe::probe(mode, limits)),
        Task::Run(spec) => tell(&run(&spec, control)?),
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
