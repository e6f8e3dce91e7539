//! Servers in processes of their own.

use std::{
    env,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use crate::bare;

pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn pipewright() -> Self {
        // To compare with another build.
        let binary = env::var_os("PIPEWRIGHT_BINARY");
        let mut command = Command::new(binary.unwrap_or(env!("CARGO_BIN_EXE_pipewright").into()));
        command.args(["serve", "--listen", "127.0.0.1:0", "--no-embedded-runner"]);
        command.args(["--max-requests-per-second", "0"]);
        Self::start(command.env_remove("PIPEWRIGHT_BINARY"))
    }

    pub(crate) fn bare() -> Self {
        Self::start(Command::new(env::current_exe().unwrap()).arg(bare::ARGUMENT))
    }

    /// Starts a server that tells its address on standard error.
    fn start(command: &mut Command) -> Self {
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
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
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
