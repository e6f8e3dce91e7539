//! Starts the command.

use std::{
    io::{self, PipeWriter, Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{self, Stdio},
};

use nix::{
    sys::signal::SigSet,
    unistd::{ForkResult, Pid, setpgid},
};

use super::{Command, Mode, Report, Spec, cgroup::Cgroup, control, system};

/// Starts the command as the leader of a process group of its own inside `cgroup`,
/// with this process's standard error for both of its outputs.
///
/// Answers when the program runs: until then a signal to the group could miss it.
pub(super) fn start(spec: &Spec, cgroup: &Cgroup) -> io::Result<Pid> {
    // Both ends close on exec, so the reader's end of file means that it runs.
    let (mut reader, writer) = io::pipe()?;
    let child = match system::fork()? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => become_command(spec, cgroup, writer),
    };
    drop(writer);
    let mut complaint = String::new();
    reader.read_to_string(&mut complaint)?;
    match complaint.is_empty() {
        true => Ok(child),
        false => Err(io::Error::other(complaint)),
    }
}

fn become_command(spec: &Spec, cgroup: &Cgroup, mut complaints: PipeWriter) -> ! {
    let prepared = || {
        lead_a_group(spec.mode)?;
        cgroup.enter()
    };
    let error = match prepared() {
        Ok(()) => exec(&spec.command),
        Err(error) => error,
    };
    // If it cannot be told, it can only be seen.
    let _ = write!(complaints, "{error}");
    process::exit(127)
}

/// The runner hears of the group before the command runs: it has to kill it if the
/// supervisor is killed, which may be at any moment.
fn lead_a_group(mode: Mode) -> io::Result<()> {
    let own = Pid::this();
    setpgid(own, own)?;
    match mode {
        // The number means another process to the runner, and the kernel ends a
        // namespace with its init.
        Mode::PidNamespace => Ok(()),
        Mode::Subreaper | Mode::ProcessGroup => control::tell(&Report::Started {
            group: own.as_raw(),
        }),
    }
}

fn exec(command: &Command) -> io::Error {
    let exec = || -> io::Result<io::Error> {
        let output = io::stderr().as_fd().try_clone_to_owned()?;
        // A program takes over the mask, and few think of changing it.
        SigSet::empty().thread_set_mask()?;
        Ok(process::Command::new(&command.program)
            .args(&command.args)
            .current_dir(&command.directory)
            .env_clear()
            .envs(
                command
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .exec())
    };
    exec().unwrap_or_else(|error| error)
}
