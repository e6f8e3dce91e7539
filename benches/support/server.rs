//! Servers in separate processes.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{bare, pin};

pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// A service without a rate limit, with further flags.
    pub(crate) fn pipewright(flags: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--no-embedded-runner"]);
        command.args(["--max-requests-per-second", "0"]);
        command.args(unlimited_memory());
        Self::start(command.args(flags).env_remove("PIPEWRIGHT_BINARY"))
    }

    /// The same with the embedded runner.
    pub(crate) fn with_runner(flags: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--max-requests-per-second", "0"]);
        command.args(unlimited_memory());
        Self::start(command.args(flags).env_remove("PIPEWRIGHT_BINARY"))
    }

    pub(crate) fn bare() -> Self {
        Self::start(Command::new(env::current_exe().unwrap()).arg(bare::ARGUMENT))
    }

    /// Starts a server that prints its address to standard error.
    fn start(command: &mut Command) -> Self {
        command.stderr(Stdio::piped());
        // Only the server is pinned, not the thread that reads its output.
        let mut process = pin::server(|| command.spawn().unwrap());
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once("address=")?;
            Some(address.split_whitespace().next().unwrap().parse().unwrap())
        });
        thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            address: address.expect("an address"),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The processor time of the process so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is measured stores more than the default budgets allow; a binary to compare with may
/// have none.
fn unlimited_memory() -> Vec<&'static str> {
    const FLAGS: [&str; 3] = [
        "--max-memory",
        "--max-project-memory",
        "--max-caller-memory",
    ];
    let help = Command::new(binary()).args(["serve", "--help"]).output();
    let help = help.expect("the binary can be started").stdout;
    let has_budgets = String::from_utf8_lossy(&help).contains(FLAGS[0]);
    let flags = FLAGS.iter().filter(|_| has_budgets);
    flags.flat_map(|flag| [*flag, "none"]).collect()
}

/// The binary of this build, or another one to compare with.
pub(crate) fn binary() -> OsString {
    let other = env::var_os("PIPEWRIGHT_BINARY");
    other.unwrap_or(env!("CARGO_BIN_EXE_pipewright").into())
}

/// The processor time of a process so far.
pub(crate) fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The process name, which comes first, may have spaces.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = |field: usize| -> u64 {
        let value = fields.split_whitespace().nth(field);
        value.unwrap().parse().unwrap()
    };
    let (user, system) = (ticks(11), ticks(12));
    let second = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64((user + system) as f64 / second as f64)
}
