//! A reader that follows a page: it runs the page's commands against a service of
//! its own, and compares the output with the page.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use regex::Regex;

/// The address that pages show.
pub(crate) const ADDRESS: &str = "127.0.0.1:50051";
/// Values that differ in each run but are referred to again: ids, etags, fencing
/// tokens.
const NAMES: &str = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{8}-\d+\b|\b[0-9]{16}\b";

/// The page with the real output, and the differences.
pub(crate) struct Checked {
    pub(crate) page: String,
    pub(crate) differences: Vec<String>,
}

/// Runs the steps of all `console` blocks of a page. Those of a block with grpcurl
/// are run only if the reader has it.
pub(crate) fn check(page: &str, reader: &mut Reader) -> Checked {
    let mut checked = Checked {
        page: String::new(),
        differences: Vec::new(),
    };
    for part in parts(page) {
        match part {
            Part::Text(text) => checked.page.push_str(text),
            Part::Step {
                command,
                shown,
                needs_grpcurl,
            } => {
                let kept = if needs_grpcurl && !reader.has_grpcurl {
                    println!("not run, as GRPCURL is not set: {command}");
                    shown.to_owned()
                } else {
                    reader.try_step(command, shown)
                };
                if kept != shown {
                    let difference = format!("$ {command}\n--- shown\n{shown}--- printed\n{kept}");
                    checked.differences.push(difference);
                }
                checked.page.push_str(&format!("$ {command}\n{kept}"));
            }
        }
    }
    checked
}

enum Part<'a> {
    Text(&'a str),
    Step {
        command: &'a str,
        shown: &'a str,
        /// A command of its block calls grpcurl, so the block only makes sense with it.
        needs_grpcurl: bool,
    },
}

/// Splits a text into the steps of its `console` blocks and everything else.
fn parts(text: &str) -> Vec<Part<'_>> {
    let block = Regex::new(r"(?ms)^```console\n(.*?)^```$").unwrap();
    let step = Regex::new(r"(?m)^\$ (.*)\n((?:[^$\n].*\n|\n)*)").unwrap();
    let mut parts = Vec::new();
    let mut done = 0;
    for found in block.captures_iter(text) {
        let inner = found.get(1).unwrap();
        for captures in step.captures_iter(inner.as_str()) {
            let whole = captures.get(0).unwrap();
            parts.push(Part::Text(&text[done..inner.start() + whole.start()]));
            parts.push(Part::Step {
                command: captures.get(1).unwrap().as_str(),
                shown: captures.get(2).unwrap().as_str(),
                needs_grpcurl: inner.as_str().contains("$ grpcurl "),
            });
            done = inner.start() + whole.end();
        }
    }
    parts.push(Part::Text(&text[done..]));
    parts
}

/// Follows the instructions of a page.
pub(crate) struct Reader {
    service: Child,
    address: String,
    /// A directory with the commands that pages name, also used for files.
    pub(crate) commands: tempfile::TempDir,
    pub(crate) has_grpcurl: bool,
    root: PathBuf,
    /// Ids of the page, and the real ones that correspond to them.
    names: HashMap<String, String>,
    pub(crate) ran: usize,
}

impl Reader {
    /// A reader with a service on a free port, and with grpcurl if the environment
    /// variable GRPCURL names it.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let binary = env!("CARGO_BIN_EXE_pipewright");
        let commands = tempfile::tempdir().unwrap();
        let link = |path: &Path, name: &str| {
            std::os::unix::fs::symlink(path, commands.path().join(name)).unwrap();
        };
        link(Path::new(binary), "pipewright");
        let grpcurl = env::var_os("GRPCURL").map(PathBuf::from);
        if let Some(path) = &grpcurl {
            link(path, "grpcurl");
        }
        let mut service = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            // The service is killed at the end, so it cannot remove its own files.
            .env("TMPDIR", commands.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(service.stderr.as_mut().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("address="));
        let line = line.unwrap().unwrap();
        let (_, address) = line.split_once("address=").unwrap();
        Self {
            address: address.split_whitespace().next().unwrap().to_owned(),
            service,
            commands,
            has_grpcurl: grpcurl.is_some(),
            root: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
            names: HashMap::new(),
            ran: 0,
        }
    }

    /// Runs a command, and returns what a page should show for it: the present text, if
    /// the output only differs in ids, times and similar values.
    pub(crate) fn try_step(&mut self, command: &str, shown: &str) -> String {
        let printed = self.run(command);
        if self.is_same(shown, &printed) {
            shown.to_owned()
        } else {
            self.as_shown(&printed)
        }
    }

    /// The output of a command.
    pub(crate) fn run(&mut self, command: &str) -> String {
        println!("run: {command}");
        self.ran += 1;
        let mut command = command.replace("cargo run -- ", "pipewright ");
        command = command.replace(ADDRESS, &self.address);
        for (shown, here) in &self.names {
            command = command.replace(shown, here);
        }
        let path = env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("{command} 2>&1")])
            .current_dir(&self.root)
            .env("PATH", format!("{}:{path}", self.commands.path().display()))
            .env("PIPEWRIGHT_SERVER", &self.address)
            // The page must not use the contexts of the user who runs the test.
            .env("PIPEWRIGHT_CLIENT_CONFIG", "/nonexistent/config.toml")
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout)
            .unwrap()
            .replace(&self.address, ADDRESS);
        // Tables are padded; a page is not.
        printed
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    /// Compares, and records which ids correspond.
    fn is_same(&mut self, shown: &str, printed: &str) -> bool {
        let name = Regex::new(NAMES).unwrap();
        let pairs = name.find_iter(shown).zip(name.find_iter(printed));
        self.names
            .extend(pairs.map(|(s, p)| (s.as_str().to_owned(), p.as_str().to_owned())));
        normal(shown) == normal(printed)
    }

    /// The output, with the ids of the page.
    fn as_shown(&self, printed: &str) -> String {
        let back = |text: String, (shown, here): (&String, &String)| text.replace(here, shown);
        self.names.iter().fold(printed.to_owned(), back)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

fn normal(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, with) in [
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (NAMES, "NAME"),
        (r"\b\d+\.\d+s\b", "DURATION"),
        (r#""nextPageToken": ".+""#, "PAGE"),
        // Counts of background tasks, which run by themselves.
        (r#""(runs|items)": "\d+""#, "COUNT"),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, with)
            .into_owned();
    }
    text
}
