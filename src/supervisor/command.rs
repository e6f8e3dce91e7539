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

/// Starts the command as the leader of a new process group inside `cgroup`, with this
/// process's standard error as its standard output and standard error.
///
/// Returns once the program runs: before that, a signal to the group could miss it.
pub(super) fn start(spec: &Spec, cgroup: &Cgroup) -> io::Result<Pid> {
    // The writer closes on exec, so an end of file without data means that the program runs.
    let (mut reader, writer) = io::pipe()?;
    let child = match system::fork()? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => become_command(spec, cgroup, writer),
    };
    drop(writer);
    let mut error = String::new();
    reader.read_to_string(&mut error)?;
    if error.is_empty() {
        Ok(child)
    } else {
        Err(io::Error::other(error))
    }
}

fn become_command(spec: &Spec, cgroup: &Cgroup, mut errors: PipeWriter) -> ! {
    let prepared = || {
        lead_a_group(spec.mode)?;
        cgroup.enter()
    };
    let error = match prepared() {
        Ok(()) => exec(&spec.command),
        Err(error) => error,
    };
    // If the error cannot be sent, only the exit status shows it.
    let _ = write!(errors, "{error}");
    process::exit(127)
}

/// Reports the process group to the runner before the command runs: the runner must kill it
/// if the supervisor is killed, which may be at any time.
fn lead_a_group(mode: Mode) -> io::Result<()> {
    let own = Pid::this();
    setpgid(own, own)?;
    match mode {
        // Not needed: the kernel ends a namespace with its init. And in the runner's
        // namespace, the process id would be another process.
        Mode::PidNamespace => Ok(()),
        Mode::Subreaper | Mode::ProcessGroup => control::send(&Report::Started {
            group: own.as_raw(),
        }),
    }
}

fn exec(command: &Command) -> io::Error {
    let exec = || -> io::Result<io::Error> {
        let output = io::stderr().as_fd().try_clone_to_owned()?;
        // A program inherits the signal mask, and few programs reset it.
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
