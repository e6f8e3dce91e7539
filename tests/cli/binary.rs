//! Runs the binary and captures its output.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// The binary, in a directory of the project, with no setting from the environment.
pub(crate) fn pipewright(arguments: &[&str]) -> Command {
    let mut command = clean(Command::new(env!("CARGO_BIN_EXE_pipewright")));
    command.args(arguments);
    command
}

/// In a directory of the project, with no setting from the environment.
fn clean(mut command: Command) -> Command {
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    let others = [
        "JOB_WORKERS",
        "BUILD_LOG_DIR",
        "RUST_LOG",
        "TRACEPARENT",
        "TRACESTATE",
    ]
    .map(OsString::from);
    let is_own = |name: &OsString| name.as_bytes().starts_with(b"PIPEWRIGHT_");
    let own = env::vars_os().map(|(name, _)| name).filter(is_own);
    for setting in own.chain(others) {
        command.env_remove(setting);
    }
    // The tests must not use the contexts of the user who runs them.
    command.env("PIPEWRIGHT_CLIENT_CONFIG", "/nonexistent/config.toml");
    command
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str]) -> Ran {
    Ran::of(pipewright(arguments).output().unwrap())
}

/// The output of a run of the binary, and its exit code.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// All output, as a snapshot shows it.
    pub(crate) fn shown(&self) -> String {
        let code = self
            .code
            .map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        format!("{}--- stderr\n{}--- exit {code}", self.stdout, self.stderr)
    }
}

/// Compares with a snapshot in which ids, times and addresses are replaced by
/// placeholders.
macro_rules! assert_shown {
    ($ran:expr) => {
        insta::with_settings!({ filters => crate::binary::FILTERS.to_vec() }, {
            insta::assert_snapshot!($ran);
        })
    };
}
pub(crate) use assert_shown;

pub(crate) const FILTERS: [(&str, &str); 5] = [
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[id]",
    ),
    (r"\b\d+\.\ds\b *", "[time] "),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[timestamp]"),
    (r"127\.0\.0\.1:\d+", "[address]"),
    (r"\b[0-9a-f]{8}-\d+\b", "[etag]"),
];

/// A process that is killed at the end of the test.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Like [`start`](Self::start), but the command says where the output goes.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self {
            child: command.spawn().unwrap(),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Reads standard output up to and including the line that contains a text.
    pub(crate) fn until_stdout(&mut self, text: &str) -> String {
        until(self.child.stdout.as_mut().unwrap(), text)
    }

    /// Reads standard error up to and including the line that contains a text.
    pub(crate) fn until_stderr(&mut self, text: &str) -> String {
        until(self.child.stderr.as_mut().unwrap(), text)
    }

    /// Waits for the end and returns the output that was not read yet.
    pub(crate) fn finish(mut self) -> Ran {
        let mut stdout = String::new();
        let mut stderr = String::new();
        let mut errors = self.child.stderr.take().unwrap();
        let reader = std::thread::spawn(move || {
            errors.read_to_string(&mut stderr).unwrap();
            stderr
        });
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        let status = self.child.wait().unwrap();
        Ran {
            code: status.code(),
            stdout,
            stderr: reader.join().unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads byte by byte, so that nothing after the line is taken from the next
/// reader.
fn until(source: &mut impl Read, text: &str) -> String {
    let mut all = String::new();
    let mut lines = BufReader::with_capacity(1, source);
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line).unwrap();
        assert_ne!(read, 0, "'{text}' is not in\n{all}");
        all.push_str(&line);
        if line.contains(text) {
            return all;
        }
    }
}

/// A running `pipewright serve` on a free port.
pub(crate) struct Served {
    pub(crate) process: Running,
    pub(crate) address: SocketAddr,
    pub(crate) directory: tempfile::TempDir,
    /// The output until it listened.
    pub(crate) said: String,
}

impl Served {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", arguments)
    }

    pub(crate) fn start_at(address: &str, arguments: &[&str]) -> Self {
        let mut command = pipewright(&["serve", "--listen", address]);
        command.args(arguments);
        Self::of(command)
    }

    /// With this hard limit of open files.
    pub(crate) fn start_with_files(files: usize, arguments: &[&str]) -> Self {
        let binary = env!("CARGO_BIN_EXE_pipewright");
        let mut command = clean(Command::new("/bin/sh"));
        let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        command.args(["-c", &limited, binary]);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The process is killed at the end of the test, so it cannot remove its own files.
        command.env("TMPDIR", directory.path());
        let mut process = Running::start(&mut command);
        let said = process.until_stderr("listening");
        let (_, address) = said.split_once("address=").unwrap();
        let address = address.split_whitespace().next().unwrap().parse().unwrap();
        Self {
            process,
            address,
            directory,
            said,
        }
    }

    /// A client command for this service.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = pipewright(arguments);
        command.env("PIPEWRIGHT_SERVER", self.address.to_string());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Creates a pipeline of one stage named `s`, and returns its id.
    pub(crate) fn create(&self, name: &str, command: &str) -> String {
        let stage = serde_json::json!({ "name": "s", "command": command });
        let data = serde_json::json!({ "name": name, "stages": [stage] }).to_string();
        let created = self
            .run(&["pipeline", "create", "--data", &data, "-o", "json"])
            .json();
        created["id"].as_str().unwrap().to_owned()
    }

    /// Triggers a pipeline and returns the job's id.
    pub(crate) fn trigger(&self, pipeline: &str) -> String {
        let job = self
            .run(&["pipeline", "trigger", pipeline, "-o", "json"])
            .json();
        job["id"].as_str().unwrap().to_owned()
    }

    /// Stops it, and checks that it ends cleanly without an error.
    pub(crate) fn ends_well(self) {
        self.process.signal(Signal::TERM);
        let ran = self.process.finish();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Creates a named pipe: its reader blocks until a writer opens it, and the other
/// way round.
pub(crate) fn gate(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}
