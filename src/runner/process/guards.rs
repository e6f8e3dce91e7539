//! The guards that keep a stage within its limits on this machine.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    config::{Guard, Supervision},
    supervisor::{self, CgroupVersion, Findings, Limits, Mode, Task},
};

#[derive(Debug)]
pub(in crate::runner) struct Guards {
    program: PathBuf,
    mode: Mode,
    processes: Limit,
    memory: Limit,
}

/// A limit, with how it is enforced or why it is not.
#[derive(Debug)]
enum Limit {
    Unset,
    Absent(String),
    Set(u64, CgroupVersion),
}

impl Guards {
    /// Finds out, by trying, which of the configured guards this machine supports.
    ///
    /// # Errors
    /// No supervisor can be started, or the mode that is required does not work.
    pub(in crate::runner) async fn find(settings: &Supervision) -> io::Result<Self> {
        let program = settings.program.clone().unwrap_or_else(own_program);
        let wanted = match settings.guard {
            Guard::Auto => None,
            Guard::PidNamespace => Some(Mode::PidNamespace),
            Guard::Subreaper => Some(Mode::Subreaper),
        };
        let limits = Limits {
            processes: Some(settings.max_processes),
            memory: settings.max_memory,
        };
        let findings = probe(&program, wanted, limits).await.map_err(|error| {
            let program = program.display();
            io::Error::other(format!("cannot run {program} as a supervisor: {error}"))
        })?;
        let mode = findings.mode.map_err(|reason| {
            let guard = settings.guard;
            io::Error::other(format!(
                "the guard {guard} does not work here: {reason}; \
                 a PID namespace needs CAP_SYS_ADMIN, --guard auto takes what there is"
            ))
        })?;
        Ok(Self {
            program,
            mode,
            processes: Limit::of(limits.processes, findings.processes),
            memory: Limit::of(limits.memory, findings.memory),
        })
    }

    pub(in crate::runner) fn program(&self) -> &Path {
        &self.program
    }

    /// How a stage's processes are held together.
    pub(in crate::runner) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether a limit on memory was configured and cannot be enforced. The limit on
    /// processes is a default that is not promised where it is unavailable.
    pub(in crate::runner) fn lacks_memory_limit(&self) -> bool {
        matches!(self.memory, Limit::Absent(_))
    }

    /// The limits that can be set.
    pub(in crate::runner) fn limits(&self) -> Limits {
        Limits {
            processes: self.processes.value(),
            memory: self.memory.value(),
        }
    }
}

impl fmt::Display for Guards {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.mode {
            Mode::PidNamespace => "a PID namespace each",
            Mode::Subreaper => "a subreaper each, which careless commands do not escape",
            Mode::ProcessGroup => "a process group each, which a daemon escapes",
        })?;
        match &self.processes {
            Limit::Set(most, version) => write!(out, "; at most {most} processes ({version})")?,
            Limit::Absent(reason) => write!(out, "; processes not limited ({reason})")?,
            Limit::Unset => write!(out, "; processes not limited")?,
        }
        match &self.memory {
            Limit::Set(most, version) => {
                write!(out, "; at most {} of memory ({version})", size(*most))
            }
            Limit::Absent(reason) => write!(out, "; memory not limited ({reason})"),
            Limit::Unset => write!(out, "; memory not limited"),
        }
    }
}

impl Limit {
    fn of(wanted: Option<u64>, found: Option<Result<CgroupVersion, String>>) -> Self {
        match wanted.zip(found) {
            None => Self::Unset,
            Some((_, Err(reason))) => Self::Absent(reason),
            Some((most, Ok(version))) => Self::Set(most, version),
        }
    }

    fn value(&self) -> Option<u64> {
        match self {
            Self::Set(most, _) => Some(*most),
            Self::Unset | Self::Absent(_) => None,
        }
    }
}

/// A size as on the command line: in the largest unit that is exact.
pub(in crate::runner) fn size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let exact = units
        .into_iter()
        .find(|(_, unit)| bytes.is_multiple_of(*unit));
    match exact {
        Some((name, unit)) if bytes > 0 => format!("{}{name}", bytes / unit),
        _ => format!("{bytes} bytes"),
    }
}

fn own_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        // The running program, even if its file was replaced on disk.
        "/proc/self/exe".into()
    } else {
        std::env::current_exe().unwrap_or_else(|_| "pipewright".into())
    }
}

async fn probe(program: &Path, mode: Option<Mode>, limits: Limits) -> io::Result<Findings> {
    let mut child = Command::new(program)
        .arg(supervisor::ARGUMENT)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut line = serde_json::to_vec(&Task::Probe { mode, limits })?;
    line.push(b'\n');
    let mut control = child.stdin.take().expect("it was asked for");
    control.write_all(&line).await?;
    let output = child.wait_with_output().await?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_they_are_given() {
        for (bytes, told) in [
            (2 << 30, "2GiB"),
            (1536 << 20, "1536MiB"),
            (128 << 20, "128MiB"),
            (4 << 10, "4KiB"),
            (1_000_001, "1000001 bytes"),
            (0, "0 bytes"),
        ] {
            assert_eq!(size(bytes), told);
        }
    }
}
