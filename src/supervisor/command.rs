//! Starts the command.

use std::{
    io::{self, PipeWriter, Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{self, Stdio},
};

use nix::{
    sys::signal::SigSet,
    unistd::{ForkResult, Pid},
};

use super::{Command, cgroup::Cgroup, system};

/// Starts the command as the leader of a process group of its own inside `cgroup`,
/// with this process's standard error for both of its outputs.
///
/// Answers when the program runs: until then a signal to the group could miss it.
pub(super) fn start(command: &Command, cgroup: &Cgroup) -> io::Result<Pid> {
    // Both ends close on exec, so the reader's end of file means that it runs.
    let (mut reader, writer) = io::pipe()?;
    let child = match system::fork()? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => become_command(command, cgroup, writer),
    };
    drop(writer);
    let mut complaint = String::new();
    reader.read_to_string(&mut complaint)?;
    match complaint.is_empty() {
        true => Ok(child),
        false => Err(io::Error::other(complaint)),
    }
}

fn become_command(command: &Command, cgroup: &Cgroup, mut complaints: PipeWriter) -> ! {
    let error = match cgroup.enter() {
        Ok(()) => exec(command),
        Err(error) => error,
    };
    // If it cannot be told, it can only be seen.
    let _ = write!(complaints, "{error}");
    process::exit(127)
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
            .process_group(0)
            .exec())
    };
    exec().unwrap_or_else(|error| error)
}
